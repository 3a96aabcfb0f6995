"""The source file of the workflow: which lines wait, which have breakpoints, and a cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pygments.lexers import PythonLexer
from pygments.token import Token

from replaytool.model.debug_state import ReplayedState
from replaytool.text import escape_controls
from replaytool.tui.styled_lines import Line, line
from replaytool.tui.widgets.line_list import LineList

MAIN, OTHER, CALLER, ASKS = "▶", "▷", "│", "↗"
_LONGEST = 500
_MOST_LINES = 20_000
_ROLES: tuple[tuple[Any, str], ...] = (
    (Token.Comment, "dim"),
    (Token.Literal.String, "good"),
    (Token.Literal.Number, "warn"),
    (Token.Name.Decorator, "warn"),
    (Token.Name.Function, "strong"),
    (Token.Name.Class, "strong"),
    (Token.Keyword, "key"),
)


def highlight_python(text: str) -> list[Line]:
    """Return the lines of a file with a role for each token."""
    rows: list[list[tuple[str, str]]] = [[]]
    cut = "\n".join(one[:_LONGEST] for one in text.splitlines()[:_MOST_LINES])
    for kind, value in PythonLexer(stripnl=False).get_tokens(cut):
        role = next((role for known, role in _ROLES if kind in known), "")
        first, *rest = value.split("\n")
        for number, part in enumerate((first, *rest)):
            if number:
                rows.append([])
            if part:
                rows[-1].append((escape_controls(part.expandtabs(4)), role))
    return [tuple(row) for row in rows[:-1]]


def find_code_positions(moment: ReplayedState) -> list[tuple[str, int, str]]:
    """Return file, line and sign of every position in the code, the most relevant first."""
    asks = [moment.command.call_site] if moment.command and moment.command.call_site else []
    found = [(site.file, site.line, ASKS) for site in asks]
    for frame in moment.frames:
        for number, code in enumerate(frame.lines):
            sign = (MAIN if frame.kind == "main" else OTHER) if number == 0 else CALLER
            found.append((code.file, code.line, sign))
    return found


class SourcePane(LineList):
    """One file with a gutter."""

    def __init__(self) -> None:
        super().__init__("source")
        self.border_title = "5 Source"
        self.file = ""
        self._key: tuple[str | None, str] = (None, "")
        self._lines: Sequence[Line] = ()
        self._signs: Mapping[int, str] = {}
        self._stops: frozenset[int] = frozenset()

    def has_file(self, build: str | None, file: str) -> bool:
        """Return whether this file of this build is shown."""
        return self._key == (build, file) and self.count > 0

    def load_file(self, build: str | None, file: str, lines: Sequence[Line], notice: Line = ()) -> None:
        """Show another file, or the same file of another build."""
        self._key, self.file, self._lines = (build, file), file, lines
        self._signs = {}
        self.set_rows(len(lines), (notice,))

    def mark_lines(self, signs: Mapping[int, str], at: int | None) -> None:
        """Set the signs in the gutter, and move the cursor to line `at`."""
        self._signs = signs
        if at is not None:
            self.move_cursor(at - 1)
        self.refresh()

    def set_breakpoint_lines(self, lines: frozenset[int]) -> None:
        """Set the lines with a breakpoint."""
        self._stops = lines
        self.refresh()

    @property
    def line_number(self) -> int:
        """Return the line under the cursor."""
        return self.cursor + 1

    def format_row(self, index: int) -> Line:
        """Return one line of code."""
        number = index + 1
        sign = self._signs.get(number, " ")
        return line(
            ("●" if number in self._stops else " ", "bad"),
            (f"{sign} ", "mark"),
            (f"{number:>{len(str(self.count))}} ", "strong" if sign in (MAIN, OTHER, ASKS) else "dim"),
            *self._lines[index],
        )
