"""The events of a run: where the run stands, where the cursor is, what stops it, and what each event carried."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.message import Message

from replaytool.debug.timeline import is_failure_type
from replaytool.model.history import Event
from replaytool.tui.styled_lines import Line, cell, line
from replaytool.tui.widgets.line_list import Listing, padded

_SIGNS = (
    ("WorkflowTask", "·"),
    ("WorkflowExecutionStarted", "▶"),
    ("WorkflowExecutionSignaled", "→"),
    ("WorkflowExecutionUpdate", "→"),
    ("WorkflowExecutionCancelRequested", "→"),
    ("WorkflowExecutionCompleted", "✔"),
    ("WorkflowExecutionContinuedAsNew", "✔"),
    ("MarkerRecorded", "◆"),
    ("ActivityTaskStarted", "·"),
    ("TimerStarted", "↗"),
)
_SIGNS_BY_END = (("Scheduled", "↗"), ("Initiated", "↗"), ("Requested", "↗"), ("Completed", "↙"), ("Fired", "↙"))


def sign(event_type: str) -> str:
    """One character for the kind of event: what code asked for goes out, what came of it comes in."""
    if is_failure_type(event_type):
        return "✗"
    for start, char in _SIGNS:
        if event_type.startswith(start):
            return char
    return next((char for end, char in _SIGNS_BY_END if event_type.endswith(end)), " ")


def seconds(event: Event, start: Event) -> float | None:
    """How long after the start of the run."""
    try:
        times = [datetime.fromisoformat(one.event_time or "") for one in (event, start)]
        return (times[0] - times[1]).total_seconds()
    except (ValueError, TypeError):
        return None


def clock(passed: float | None) -> str:
    """Time since the start, in nine characters while it is below a hundred hours."""
    if passed is None:
        return "        ?"
    whole = int(passed)
    if whole < 3600:
        return f"{whole // 60:02}:{passed % 60:06.3f}"
    return f"{whole // 3600:3}:{whole // 60 % 60:02}:{whole % 60:02}" if whole < 3_600_000 else f"{whole // 86400:8}d"


class EventList(Listing):
    """The list at the left of the debugger."""

    class Scrolled(Message):
        """Other events are on the screen now."""

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(id)
        self.border_title = "Events"
        self.events: Sequence[Event] = ()
        self.names: Sequence[str] = ()
        self.previews: dict[int, str] = {}
        self.stop = 0
        self.stops_at: dict[str, set[str] | None] = {}
        """Event types that have a breakpoint, with the names that it wants; None: any."""
        self.stops_here: frozenset[int] = frozenset()
        """Ids of events at which an expression begins to hold that running stops for."""
        self.hits: frozenset[int] = frozenset()

    def load(self, events: Sequence[Event], stop: int) -> None:
        """The events of a run; names and previews come when they are known."""
        self.events, self.names, self.previews, self.stop = events, (), {}, stop
        self.fill(len(events), cursor=stop)

    def is_breakpoint(self, index: int) -> bool:
        """Whether running stops there."""
        if self.events[index].event_id in self.stops_here:
            return True
        wanted = self.stops_at.get(self.events[index].event_type, set())
        return wanted is None or bool(wanted and self.names and self.names[index] in wanted)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling shows events whose previews may be missing."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Scrolled())

    def row(self, index: int) -> Line:
        """One event."""
        event = self.events[index]
        bad = is_failure_type(event.event_type)
        name = self.names[index] if self.names else ""
        width = self.scrollable_content_region.width
        digits = len(str(self.events[-1].event_id))
        broad = max(20, min(32, width * 2 // 5))
        return line(
            ("➤" if index == self.stop else " ", "mark"),
            ("●" if self.is_breakpoint(index) else "/" if index in self.hits else " ", "bad"),
            f"{event.event_id:>{digits}} ",
            (clock(seconds(event, self.events[0])) + " ", "dim"),
            (sign(event.event_type) + " ", "bad" if bad else "good"),
            (padded(cell(event.event_type), broad), "bad" if bad else "dim" if _is_task(event) else ""),
            *self._about(event, name, width - broad - digits - 16),
        )

    def _about(self, event: Event, name: str, room: int) -> Line:
        """What it was about: its name first, then as much of what it carried as fits."""
        if room < 4:
            return ()
        if event.event_type in ("WorkflowTaskStarted", "WorkflowTaskCompleted") and event.build_id:
            return line(" ", (padded(f"build {cell(event.build_id)}", room - 1), "dim"))
        said, carried = cell(name, 80), self.previews.get(event.event_id, "")
        if not said or not carried:
            return line(" ", (padded(said or carried, room - 1), "key" if said else "dim"))
        left = min(len(said), max(room // 2, 16))
        return line(" ", (padded(said, left), "key"), (" " + padded(carried, max(room - left - 2, 0)), "dim"))


def _is_task(event: Event) -> bool:
    return event.event_type.startswith("WorkflowTask")
