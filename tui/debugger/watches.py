"""The watched expressions, and their values at every step of the run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from replaytool.model.debug_state import ExpressionValue, WatchResult
from replaytool.tui.styled_lines import Line, cell_text, line
from replaytool.tui.text.replayed import format_trouble


class WatchList:
    """The expressions with what is known about each."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(dict.fromkeys(texts))
        self._known: dict[str, WatchResult] = {}
        self._refused: dict[str, str] = {}

    def set_expressions(self, texts: Sequence[str]) -> list[str]:
        """Replace the list, and return the expressions that still have to be evaluated."""
        self.texts = tuple(dict.fromkeys(texts))
        return [text for text in self.texts if text not in self._known]

    def add_result(self, found: WatchResult) -> None:
        """Keep the values of an expression."""
        self._known[found.expression] = found
        self._refused.pop(found.expression, None)

    def add_error(self, text: str, why: str) -> None:
        """Keep the reason why an expression cannot be evaluated."""
        self._refused[text] = why

    def format_lines(self, event_id: int) -> list[Line]:
        """Return each expression with its value at an event, since when, and the value before."""
        if not self.texts:
            return [line(("press w to watch an expression, W to list and delete", "dim"))]
        return [one for text in self.texts for one in self._format_watch(text, event_id)]

    def _format_watch(self, text: str, event_id: int) -> list[Line]:
        name = (cell_text(text, 80), "key")
        if text in self._refused:
            return [line(name, ("  ✗ ", "bad"), cell_text(self._refused[text], 300))]
        found = self._known.get(text)
        if found is None:
            return [line(name, ("  …", "dim"))]
        changes = list(found.changed_steps)
        index = bisect_right(changes, event_id, key=lambda step: step.event_id) - 1
        rows = [line(name, ("  no task had completed yet", "dim"))]
        if index >= 0:
            now, was = changes[index], changes[index - 1] if index else None
            before = f", before: {_format_step_value(was)}" if was else ""
            rows = [
                line(name, "  ", (_format_step_value(now), "strong"), (f"  since event {now.event_id}{before}", "dim"))
            ]
        return [*rows, format_trouble(found.trouble)] if found.trouble else rows


def _format_step_value(step: ExpressionValue) -> str:
    return cell_text(step.value.text, 160) if step.value is not None else f"✗ {cell_text(step.error, 160)}"
