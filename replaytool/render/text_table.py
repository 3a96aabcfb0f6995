"""A table of text, and how it is made to fit a width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

from replaytool.text import shorten_text

_GAP = "  "
_NARROWEST, _NARROWEST_FIRST = 8, 12
"""A text that is shortened further says nothing. The first column names the row."""
_WORD = re.compile(r"[^\s-]+-?|-")


@dataclass(frozen=True, slots=True)
class TextTable:
    """Headings of one or more lines, cells, and which columns are right-aligned."""

    headings: Sequence[Sequence[str]]
    lines: Sequence[Sequence[str]]
    right: Sequence[bool]

    def measure_cells(self, column: int) -> int:
        """Return the width of the widest cell of a column."""
        return max((cell_len(line[column]) for line in self.lines), default=0)

    def measure_columns(self) -> list[int]:
        """Return the width of each column."""
        return [max(self.measure_cells(i), *map(cell_len, part)) for i, part in enumerate(self.headings)]

    def measure_row(self) -> int:
        """Return the width of the table."""
        return sum(self.measure_columns()) + len(_GAP) * (len(self.headings) - 1)

    def format_rows(self) -> str:
        """Return the lines of headings and cells."""
        widths = self.measure_columns()
        height = max(map(len, self.headings), default=0)
        filled = [[""] * (height - len(part)) + list(part) for part in self.headings]
        heads = [[part[number] for part in filled] for number in range(height)]
        return "".join(_format_row(line, widths, self.right) for line in [*heads, *self.lines])

    def select_columns(self, kept: Sequence[int]) -> TextTable:
        """Return the table with only these columns."""
        return TextTable(
            [self.headings[i] for i in kept],
            [[line[i] for i in kept] for line in self.lines],
            [self.right[i] for i in kept],
        )


def fit_table(table: TextTable, width: int) -> tuple[TextTable, list[str]]:
    """Return the table in this width, and the headings of columns that had to be left out, the widest first."""
    kept = list(range(len(table.headings)))
    left_out: list[str] = []
    while True:
        wrapped = _wrap_headings(table.select_columns(kept), width)
        tried = _shorten_columns(wrapped, width)
        if tried.measure_row() <= width or len(kept) == 1:
            return tried, left_out
        widths = wrapped.measure_columns()
        widest = max(range(1, len(kept)), key=widths.__getitem__)
        left_out.append(" ".join(table.headings[kept.pop(widest)]))


def _wrap_headings(table: TextTable, width: int) -> TextTable:
    """Break headings that are wider than their cells, if the table is too wide."""
    if table.measure_row() <= width:
        return table
    wrapped = [_wrap_heading(" ".join(part), table.measure_cells(i)) for i, part in enumerate(table.headings)]
    return replace(table, headings=wrapped)


def _wrap_heading(text: str, room: int) -> list[str]:
    words = _WORD.findall(text)
    room = max(room, *map(cell_len, words)) if words else room
    lines: list[str] = []
    for word in words:
        joint = "" if lines and lines[-1].endswith("-") else " "
        if lines and cell_len(lines[-1] + joint + word) <= room:
            lines[-1] += joint + word
        else:
            lines.append(word)
    return lines or [text]


def _shorten_columns(table: TextTable, width: int) -> TextTable:
    """Shorten the longest texts first; numbers stay whole."""
    widths = table.measure_columns()
    floors = [
        widths[i] if table.right[i] else max(_NARROWEST if i else _NARROWEST_FIRST, *map(cell_len, part))
        for i, part in enumerate(table.headings)
    ]
    over = table.measure_row() - width
    while over > 0:
        longest = max(range(len(widths)), key=lambda i: widths[i] if widths[i] > floors[i] else 0)
        if widths[longest] <= floors[longest]:
            break
        widths[longest] -= 1
        over -= 1
    return replace(
        table,
        lines=[[shorten_text(text, widths[i]) for i, text in enumerate(line)] for line in table.lines],
    )


def _format_row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = [
        " " * (width - cell_len(text)) + text if to_right else set_cell_size(text, width)
        for text, width, to_right in zip(cells, widths, right, strict=True)
    ]
    return _GAP.join(parts).rstrip() + "\n"
