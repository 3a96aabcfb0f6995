"""The whole run on two lines: where it stands, what went wrong, and which build ran which stretch."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.strip import Strip

from replaytool.debug.timeline import BuildSegment
from replaytool.model.debug_state import BuildSplit
from replaytool.tui.styled_lines import Line, cell, line
from replaytool.tui.widgets.line_list import Painter, padded


class Scrub(Painter, can_focus=False):
    """A bar to look at and to click on."""

    class Clicked(Message):
        """Somebody wants to be at this part of the run, from 0 to 1."""

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

    def load(self, count: int, bad: Sequence[int], segments: Sequence[BuildSegment], first: int) -> None:
        """A run of so many events; `bad` are the places of failures."""
        self.count, self._bad, self._segments, self._first = count, bad, segments, first
        self.refresh()

    def part_at(self, parts: Sequence[BuildSplit]) -> None:
        """Where the states that two builds make of one history part, and what another build made of it."""
        self._parts = parts
        self.refresh()

    def go(self, stop: int, note: str) -> None:
        """Where the run stands, and a word about it at the right."""
        self.stop, self.note = stop, note
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The bar, or the builds below it."""
        return self.strip(self._bar() if y == 0 else self._builds())

    def on_click(self, event: events.Click) -> None:
        """To that part of the run."""
        self.post_message(self.Clicked(min(max((event.x - 1) / max(self._width - 1, 1), 0.0), 1.0)))

    @property
    def _width(self) -> int:
        return max(self.scrollable_content_region.width - len(self.note) - 3, 10)

    def _place(self, index: int) -> int:
        return index * (self._width - 1) // max(self.count - 1, 1)

    def _bar(self) -> Line:
        width, here = self._width, self._place(self.stop)
        row = ["━" if place <= here else "─" for place in range(width)]
        for segment in self._segments[1:]:
            row[self._place(segment.first - self._first)] = "┃"
        for index in self._bad:
            row[self._place(index)] = "✗"
        for part in self._parts:
            row[self._place(part.parted_at - self._first)] = "◆"
        row[here] = "●"
        before, after = "".join(row[:here]), "".join(row[here + 1 :])
        return line(" ", *_marked(before, "key"), ("●", "strong"), *_marked(after, "dim"), "  ", (self.note, ""))

    def _builds(self) -> Line:
        if not self._segments:
            return ()
        pieces: list[tuple[str, str]] = [(" ", "")]
        starts = [self._place(segment.first - self._first) for segment in self._segments]
        for number, (segment, start, end) in enumerate(
            zip(self._segments, starts, [*starts[1:], self._width], strict=True)
        ):
            here = segment.first <= self.stop + self._first <= segment.last
            text = ("┃" if number else "") + _called(segment.build_id) + self._turned(segment)
            pieces.append((padded(text, end - start), "strong" if here else "dim"))
        return line(*pieces)

    def _turned(self, segment: BuildSegment) -> str:
        """What this build's code made of what had happened before it."""
        part = next((one for one in self._parts if segment.first <= one.event_id <= segment.last), None)
        changes = [
            f"{cell(one.path, 20)} {cell(one.before.text, 12)} → {cell(one.after.text, 12)}"
            for one in (part.changes if part else ())
            if one.before and one.after
        ]
        return f"  ◆ {', '.join(changes[:3])}" if changes else ""


def _called(build_id: str | None) -> str:
    """The SDK's own ids are hashes, of which nobody reads more than the beginning."""
    text = cell(build_id, 60) if build_id else "no build"
    return text[:12] if len(text) == 32 else text


def _marked(text: str, role: str) -> list[tuple[str, str]]:
    """The failures in their own role."""
    found: list[tuple[str, str]] = []
    for number, part in enumerate(text.split("✗")):
        found.extend([("✗", "bad")] if number else [])
        found.append((part, role))
    return found
