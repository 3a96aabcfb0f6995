"""The attributes of the workflow and the variables of whatever waits; the cursor says whose past is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from replaytool.model.debug_state import StateValue
from replaytool.tui.styled_lines import Line, line
from replaytool.tui.text.replayed import Row
from replaytool.tui.widgets.line_list import Listing


class VariablesPane(Listing):
    """One line for each value."""

    def __init__(self) -> None:
        super().__init__("variables")
        self.border_title = "4 Variables"
        self._rows: Sequence[Row] = ()
        self._looked_for: frozenset[str] = frozenset()

    def show(self, rows: Sequence[Row]) -> None:
        """Other values; the cursor goes to what has changed, else it stays on the same name."""
        before = self.path
        self._rows = rows
        changes = [index for index, row in enumerate(rows) if row.is_changed and row.path]
        named = (index for index in changes if re.split(r"[.\[]", rows[index].path)[0] in self._looked_for)
        changed = next(named, next(iter(changes), None))
        same = next((index for index, row in enumerate(rows) if row.path and row.path == before), None)
        cursor = changed if changed is not None else same
        self.fill(len(rows), (line(("nothing is known here", "dim")),), cursor if cursor is not None else 1)

    def look_at(self, names: Iterable[str]) -> None:
        """Of several that change, the cursor goes to one of these."""
        self._looked_for = frozenset(names)

    @property
    def asks(self) -> str:
        """How an expression names what the cursor stands on; empty where none can."""
        return self._rows[self.cursor].asks if 0 <= self.cursor < len(self._rows) else ""

    @property
    def path(self) -> str:
        """What the cursor stands on."""
        return self._rows[self.cursor].path if 0 <= self.cursor < len(self._rows) else ""

    @property
    def value(self) -> StateValue | None:
        """The value there."""
        return self._rows[self.cursor].value if 0 <= self.cursor < len(self._rows) else None

    @property
    def text(self) -> str:
        """All of it, without looks."""
        return "\n".join("".join(text for text, _ in row.line) for row in self._rows)

    def row(self, index: int) -> Line:
        """One value."""
        return self._rows[index].line
