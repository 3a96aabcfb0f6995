"""The whole run on two lines: the stop, failures, and which build ran which part."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.strip import Strip

from replaytool.debug.timeline import BuildSegment
from replaytool.model.debug_state import BuildSplit
from replaytool.tui.styled_lines import Line, cell_text, line
from replaytool.tui.widgets.line_list import LineView, pad_text


class RunMinimap(LineView, can_focus=False):
    """A bar that shows the run and can be clicked."""

    class Clicked(Message):
        """The user clicked on this part of the run, from 0 to 1."""

        def __init__(self, part: float) -> None:
            super().__init__()
            self.part = part

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(id)
        self.count = 0
        self.stop = 0
        self.note = ""
        self._bad: Sequence[int] = ()
        self._segments: Sequence[BuildSegment] = ()
        self._first = 1
        self._parts: Sequence[BuildSplit] = ()

    def load_run(self, count: int, bad: Sequence[int], segments: Sequence[BuildSegment], first: int) -> None:
        """Show a run; `bad` are the indexes of failures."""
        self.count, self._bad, self._segments, self._first = count, bad, segments, first
        self.refresh()

    def mark_build_differences(self, parts: Sequence[BuildSplit]) -> None:
        """Mark where two builds compute different states from one history."""
        self._parts = parts
        self.refresh()

    def move_to(self, stop: int, note: str) -> None:
        """Show the stop, with a note at the right."""
        self.stop, self.note = stop, note
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the bar, or the builds below it."""
        return self.styled_strip(self._format_bar() if y == 0 else self._format_builds())

    def on_click(self, event: events.Click) -> None:
        """Report which part of the run was clicked."""
        self.post_message(self.Clicked(min(max((event.x - 1) / max(self._bar_width - 1, 1), 0.0), 1.0)))

    @property
    def _bar_width(self) -> int:
        return max(self.scrollable_content_region.width - len(self.note) - 3, 10)

    def _column_of_event(self, index: int) -> int:
        return index * (self._bar_width - 1) // max(self.count - 1, 1)

    def _format_bar(self) -> Line:
        width, here = self._bar_width, self._column_of_event(self.stop)
        row = ["━" if place <= here else "─" for place in range(width)]
        for segment in self._segments[1:]:
            row[self._column_of_event(segment.first - self._first)] = "┃"
        for index in self._bad:
            row[self._column_of_event(index)] = "✗"
        for part in self._parts:
            row[self._column_of_event(part.parted_at - self._first)] = "◆"
        row[here] = "●"
        before, after = "".join(row[:here]), "".join(row[here + 1 :])
        return line(
            " ", *_mark_failures(before, "key"), ("●", "strong"), *_mark_failures(after, "dim"), "  ", (self.note, "")
        )

    def _format_builds(self) -> Line:
        if not self._segments:
            return ()
        pieces: list[tuple[str, str]] = [(" ", "")]
        starts = [self._column_of_event(segment.first - self._first) for segment in self._segments]
        for number, (segment, start, end) in enumerate(
            zip(self._segments, starts, [*starts[1:], self._bar_width], strict=True)
        ):
            here = segment.first <= self.stop + self._first <= segment.last
            text = ("┃" if number else "") + _short_build_id(segment.build_id) + self._describe_changes(segment)
            pieces.append((pad_text(text, end - start), "strong" if here else "dim"))
        return line(*pieces)

    def _describe_changes(self, segment: BuildSegment) -> str:
        """Return how this build's code changed the state that it took over."""
        part = next((one for one in self._parts if segment.first <= one.event_id <= segment.last), None)
        changes = [
            f"{cell_text(one.path, 20)} {cell_text(one.before.text, 12)} → {cell_text(one.after.text, 12)}"
            for one in (part.changes if part else ())
            if one.before and one.after
        ]
        return f"  ◆ {', '.join(changes[:3])}" if changes else ""


def _short_build_id(build_id: str | None) -> str:
    """Shorten the hashes that the SDK makes."""
    text = cell_text(build_id, 60) if build_id else "no build"
    return text[:12] if len(text) == 32 else text


def _mark_failures(text: str, role: str) -> list[tuple[str, str]]:
    """Return the text with a role of its own for each failure."""
    found: list[tuple[str, str]] = []
    for number, part in enumerate(text.split("✗")):
        found.extend([("✗", "bad")] if number else [])
        found.append((part, role))
    return found
