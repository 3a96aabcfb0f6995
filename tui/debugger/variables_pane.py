"""The attributes of the workflow and the local variables of its waiting coroutines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from replaytool.model.debug_state import StateValue
from replaytool.tui.styled_lines import Line, line
from replaytool.tui.text.replayed import VariableRow
from replaytool.tui.widgets.line_list import LineList


class VariablesPane(LineList):
    """One line per value; the cursor selects the value that `a` (blame) asks about."""

    def __init__(self) -> None:
        super().__init__("variables")
        self.border_title = "4 Variables"
        self._rows: Sequence[VariableRow] = ()
        self._looked_for: frozenset[str] = frozenset()

    def show_rows(self, rows: Sequence[VariableRow]) -> None:
        """Show other values; the cursor goes to a changed value, else it stays on the same name."""
        before = self.variable_path
        self._rows = rows
        changes = [index for index, row in enumerate(rows) if row.is_changed and row.path]
        named = (index for index in changes if re.split(r"[.\[]", rows[index].path)[0] in self._looked_for)
        changed = next(named, next(iter(changes), None))
        same = next((index for index, row in enumerate(rows) if row.path and row.path == before), None)
        cursor = changed if changed is not None else same
        self.set_rows(len(rows), (line(("no variables here", "dim")),), cursor if cursor is not None else 1)

    def prefer_names(self, names: Iterable[str]) -> None:
        """Set the names to which the cursor goes when several values change."""
        self._looked_for = frozenset(names)

    @property
    def expression_path(self) -> str:
        """Return the expression that names the selected value; empty if none can."""
        return self._rows[self.cursor].asks if 0 <= self.cursor < len(self._rows) else ""

    @property
    def variable_path(self) -> str:
        """Return the path of the selected value."""
        return self._rows[self.cursor].path if 0 <= self.cursor < len(self._rows) else ""

    @property
    def current_value(self) -> StateValue | None:
        """Return the selected value."""
        return self._rows[self.cursor].value if 0 <= self.cursor < len(self._rows) else None

    @property
    def plain_text(self) -> str:
        """Return all lines without roles."""
        return "\n".join("".join(text for text, _ in row.line) for row in self._rows)

    def format_row(self, index: int) -> Line:
        """Return the line of one value."""
        return self._rows[index].line
