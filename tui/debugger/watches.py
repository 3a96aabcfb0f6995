"""Expressions that a person watches, and what they were at every step of the run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from replaytool.model.debug_state import ExpressionValue, WatchResult
from replaytool.tui.styled_lines import Line, cell, line
from replaytool.tui.text.replayed import trouble


class Watches:
    """The list, with what is known about each."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(dict.fromkeys(texts))
        self._known: dict[str, WatchResult] = {}
        self._refused: dict[str, str] = {}

    def use(self, texts: Sequence[str]) -> list[str]:
        """Another list; what has to be asked for it."""
        self.texts = tuple(dict.fromkeys(texts))
        return [text for text in self.texts if text not in self._known]

    def know(self, found: WatchResult) -> None:
        """What it was at every step."""
        self._known[found.expression] = found
        self._refused.pop(found.expression, None)

    def refuse(self, text: str, why: str) -> None:
        """It cannot be evaluated."""
        self._refused[text] = why

    def lines(self, event_id: int) -> list[Line]:
        """Each with its value at an event, since when, and what it was before."""
        if not self.texts:
            return [line(("w watches an expression, W lists and deletes", "dim"))]
        return [one for text in self.texts for one in self._lines(text, event_id)]

    def _lines(self, text: str, event_id: int) -> list[Line]:
        name = (cell(text, 80), "key")
        if text in self._refused:
            return [line(name, ("  ✗ ", "bad"), cell(self._refused[text], 300))]
        found = self._known.get(text)
        if found is None:
            return [line(name, ("  …", "dim"))]
        changes = list(found.changed_steps)
        index = bisect_right(changes, event_id, key=lambda step: step.event_id) - 1
        rows = [line(name, ("  no task had completed yet", "dim"))]
        if index >= 0:
            now, was = changes[index], changes[index - 1] if index else None
            before = f", before: {_value(was)}" if was else ""
            rows = [line(name, "  ", (_value(now), "strong"), (f"  since event {now.event_id}{before}", "dim"))]
        return [*rows, trouble(found.trouble)] if found.trouble else rows


def _value(step: ExpressionValue) -> str:
    return cell(step.value.text, 160) if step.value is not None else f"✗ {cell(step.error, 160)}"
