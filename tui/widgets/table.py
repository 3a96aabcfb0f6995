"""A table of any length: fitted columns, a heading, marks and a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.binding import BindingType

from replaytool.tui import keys
from replaytool.tui.styled_lines import Line, cell_text, line
from replaytool.tui.widgets.line_list import LineList, pad_text

_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column: its text and how much room it may take."""

    title: str
    text: Callable[[Any], str]
    widest: int = 40
    right: bool = False
    role: str = ""
    least: int = 12
    """How narrow it may become where there is too little room."""
    firm: bool = False
    """It says nothing when it is cut."""


def plain_columns(names: Iterable[str]) -> list[TableColumn]:
    """Return columns that show the values of a row unchanged."""
    return [TableColumn(cell_text(name, 60), _make_getter(name)) for name in names]


def _make_getter(name: str) -> Callable[[Any], str]:
    return lambda row: cell_text(row[name])


class DataGrid(LineList):
    """Rows under headings."""

    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Tables", show=False)

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(id, heads=1)
        self.columns: Sequence[TableColumn] = ()
        self.rows: Any = ()
        self.marked: Callable[[Any], bool] | None = None
        """Says which rows bear a mark; None where nothing is ever marked."""
        self._widths: list[int] = []
        self._left = 0

    def show_rows(
        self, columns: Sequence[TableColumn], rows: Any, notice: Iterable[Line] = (), cursor: int = 0
    ) -> None:
        """Show other rows."""
        self.columns, self.rows, self._left = columns, rows, 0
        sample = [rows[index] for index in range(min(len(rows), _SAMPLE))]
        self._widths = [
            min(max([cell_len(one.title), *(cell_len(one.text(row)) for row in sample)]), one.widest) for one in columns
        ]
        self.set_rows(len(rows), notice, cursor)

    @property
    def current_row(self) -> Any:
        """Return the selected row, or None in an empty table."""
        return self.rows[self.cursor] if self.count else None

    def action_pan(self, by: int) -> None:
        """Hide or show columns at the left."""
        self._left = max(0, min(self._left + by, len(self.columns) - 1))
        self.refresh()

    def format_heading(self, index: int) -> Line:
        """Return the titles."""
        return self._lay_out_cells([(one.title, "head") for one in self.columns], " " * self._gutter_width)

    def format_row(self, index: int) -> Line:
        """Return the values of one row."""
        row = self.rows[index]
        gutter = ("● " if self.marked and self.marked(row) else "  ")[: self._gutter_width]
        return self._lay_out_cells([(one.text(row), one.role) for one in self.columns], gutter)

    @property
    def _gutter_width(self) -> int:
        return 2 if self.marked else 0

    def _lay_out_cells(self, cells: Iterable[tuple[str, str]], gutter: str) -> Line:
        pieces: list[tuple[str, str]] = [(gutter, "mark")]
        for number, ((text, role), width) in enumerate(zip(cells, self._fit_widths(), strict=True)):
            if number >= self._left:
                pieces.append((pad_text(text, width, right=self.columns[number].right) + "  ", role))
        return line(*pieces)

    def _fit_widths(self) -> list[int]:
        """Narrow the columns until they fit: the widest first, but none below its least width."""
        room = self.scrollable_content_region.width - self._gutter_width
        widths = list(self._widths)
        soft = [number for number, one in enumerate(self.columns) if not one.firm]
        while sum(widths) + 2 * len(widths) > room + 2:
            soft = [number for number in soft if widths[number] > self.columns[number].least]
            widest = max(soft, key=lambda number: widths[number], default=None)
            if widest is None:
                break
            widths[widest] -= 1
        return widths
