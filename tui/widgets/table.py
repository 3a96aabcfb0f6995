"""A table of any length: columns as wide as what stands in them, a heading, marks and a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.binding import BindingType

from replaytool.tui import keys
from replaytool.tui.styled_lines import Line, cell, line
from replaytool.tui.widgets.line_list import Listing, padded

_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Column:
    """One column: where its text comes from and how much room it may take."""

    title: str
    text: Callable[[Any], str]
    widest: int = 40
    right: bool = False
    role: str = ""
    least: int = 12
    """How narrow it may become where there is too little room."""
    firm: bool = False
    """It says nothing when it is cut."""


def plain_columns(names: Iterable[str]) -> list[Column]:
    """Columns that show the values of a row as they are."""
    return [Column(cell(name, 60), _getter(name)) for name in names]


def _getter(name: str) -> Callable[[Any], str]:
    return lambda row: cell(row[name])


class Grid(Listing):
    """Rows under headings."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Tables", show=False)

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(id, heads=1)
        self.columns: Sequence[Column] = ()
        self.rows: Any = ()
        self.marked: Callable[[Any], bool] | None = None
        """Says which rows bear a mark; None where nothing is ever marked."""
        self._widths: list[int] = []
        self._left = 0

    def show(self, columns: Sequence[Column], rows: Any, notice: Iterable[Line] = (), cursor: int = 0) -> None:
        """Other rows."""
        self.columns, self.rows, self._left = columns, rows, 0
        sample = [rows[index] for index in range(min(len(rows), _SAMPLE))]
        self._widths = [
            min(max([cell_len(one.title), *(cell_len(one.text(row)) for row in sample)]), one.widest) for one in columns
        ]
        self.fill(len(rows), notice, cursor)

    @property
    def current(self) -> Any:
        """The row under the cursor, or None in an empty table."""
        return self.rows[self.cursor] if self.count else None

    def action_pan(self, by: int) -> None:
        """Leave out columns from the left."""
        self._left = max(0, min(self._left + by, len(self.columns) - 1))
        self.refresh()

    def head(self, index: int) -> Line:
        """The titles."""
        return self._laid([(one.title, "head") for one in self.columns], " " * self._gutter)

    def row(self, index: int) -> Line:
        """The values of one row."""
        row = self.rows[index]
        gutter = ("● " if self.marked and self.marked(row) else "  ")[: self._gutter]
        return self._laid([(one.text(row), one.role) for one in self.columns], gutter)

    @property
    def _gutter(self) -> int:
        return 2 if self.marked else 0

    def _laid(self, cells: Iterable[tuple[str, str]], gutter: str) -> Line:
        pieces: list[tuple[str, str]] = [(gutter, "mark")]
        for number, ((text, role), width) in enumerate(zip(cells, self._spread(), strict=True)):
            if number >= self._left:
                pieces.append((padded(text, width, right=self.columns[number].right) + "  ", role))
        return line(*pieces)

    def _spread(self) -> list[int]:
        """Give way where there is too little room: the widest column first, but none below its least."""
        room = self.scrollable_content_region.width - self._gutter
        widths = list(self._widths)
        soft = [number for number, one in enumerate(self.columns) if not one.firm]
        while sum(widths) + 2 * len(widths) > room + 2:
            soft = [number for number in soft if widths[number] > self.columns[number].least]
            widest = max(soft, key=lambda number: widths[number], default=None)
            if widest is None:
                break
            widths[widest] -= 1
        return widths
