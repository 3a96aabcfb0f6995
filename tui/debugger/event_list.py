"""The event list: the stop, the cursor, breakpoints, and what each event carried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from textual.message import Message

from replaytool.model.event_role import EventKind, EventRole
from replaytool.model.history import Event
from replaytool.tui.styled_lines import Line, cell_text, line
from replaytool.tui.widgets.line_list import LineList, pad_text

_SIGNS: Mapping[EventKind, str] = {
    "start": "▶", "end": "✔", "request": "↗", "answer": "↙", "received": "→",
    "marker": "◆", "task": "·", "step": "·", "attempt": "·", "other": " ",
}  # fmt: skip


def event_sign(role: EventRole) -> str:
    """Return one character for the role of an event: ↗ for what code started, ↙ for its result."""
    return "✗" if role.failed else _SIGNS[role.kind]


def seconds_since_start(event: Event, start: Event) -> float | None:
    """Return the seconds between the first event and this one."""
    try:
        times = [datetime.fromisoformat(one.event_time or "") for one in (event, start)]
        return (times[0] - times[1]).total_seconds()
    except (ValueError, TypeError):
        return None


def format_clock(passed: float | None) -> str:
    """Return the time since the start in nine characters, if it is below a thousand hours."""
    if passed is None:
        return "        ?"
    whole = int(passed)
    if whole < 3600:
        return f"{whole // 60:02}:{passed % 60:06.3f}"
    return f"{whole // 3600:3}:{whole // 60 % 60:02}:{whole % 60:02}" if whole < 3_600_000 else f"{whole // 86400:8}d"


class RunEventList(LineList):
    """The list at the left of the debugger."""

    class Scrolled(Message):
        """The list was scrolled."""

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(id)
        self.border_title = "Events"
        self.events: Sequence[Event] = ()
        self.roles: Mapping[str, EventRole] = {}
        """By event type."""
        self.names: Sequence[str] = ()
        self.previews: dict[int, str] = {}
        self.stop = 0
        self.stops_at: dict[str, set[str] | None] = {}
        """Event types that have a breakpoint, with the names that it wants; None: any."""
        self.stops_here: frozenset[int] = frozenset()
        """Ids of events at which an expression begins to hold that running stops for."""
        self.hits: frozenset[int] = frozenset()

    def load_events(self, events: Sequence[Event], roles: Mapping[str, EventRole], stop: int) -> None:
        """Show the events of a run; names and previews are added when they are known."""
        self.events, self.roles, self.names, self.previews, self.stop = events, roles, (), {}, stop
        self.set_rows(len(events), cursor=stop)

    def is_breakpoint(self, index: int) -> bool:
        """Return whether the debugger stops there."""
        if self.events[index].event_id in self.stops_here:
            return True
        wanted = self.stops_at.get(self.events[index].event_type, set())
        return wanted is None or bool(wanted and self.names and self.names[index] in wanted)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Report scrolling: new events on the screen may need previews."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Scrolled())

    def format_row(self, index: int) -> Line:
        """Return the line of one event."""
        event = self.events[index]
        role = self.roles[event.event_type]
        name = self.names[index] if self.names else ""
        width = self.scrollable_content_region.width
        digits = len(str(self.events[-1].event_id))
        broad = max(20, min(32, width * 2 // 5))
        return line(
            ("➤" if index == self.stop else " ", "mark"),
            ("●" if self.is_breakpoint(index) else "/" if index in self.hits else " ", "bad"),
            f"{event.event_id:>{digits}} ",
            (format_clock(seconds_since_start(event, self.events[0])) + " ", "dim"),
            (event_sign(role) + " ", "bad" if role.failed else "good"),
            (
                pad_text(cell_text(event.event_type), broad),
                "bad" if role.failed else "dim" if role.is_task else "",
            ),
            *self._describe_event(event, name, width - broad - digits - 16),
        )

    def _describe_event(self, event: Event, name: str, room: int) -> Line:
        """Return the event's name and as much of its content as fits."""
        if room < 4:
            return ()
        role = self.roles[event.event_type]
        if role.is_task and not role.failed and event.build_id and not name:
            return line(" ", (pad_text(f"build {cell_text(event.build_id)}", room - 1), "dim"))
        said, carried = cell_text(name, 80), self.previews.get(event.event_id, "")
        if not said or not carried:
            return line(" ", (pad_text(said or carried, room - 1), "key" if said else "dim"))
        left = min(len(said), max(room // 2, 16))
        return line(" ", (pad_text(said, left), "key"), (" " + pad_text(carried, max(room - left - 2, 0)), "dim"))
