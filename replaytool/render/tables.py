"""Tables for people and programs: one function per output format, one row per format in OUTPUTS.

To add an output, write a function that takes record batches and a binary stream, and add a row to OUTPUTS.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from replaytool.render.text_table import TextTable, fit_table
from replaytool.text import cut_long_words, escape_controls, shorten_text

if TYPE_CHECKING:
    import pyarrow as pa

_WIDEST_CELL = 60
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def format_cell(value: object) -> str:
    """Format one value as text that is safe to print on a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds") + ("Z" if value.tzinfo is None else "")
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict | list):
        return escape_controls(json.dumps(value, ensure_ascii=False, default=str))
    return escape_controls(str(value))


def format_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    widest: int | None = _WIDEST_CELL,
    *,
    width: int | None = None,
) -> str:
    """Align rows below a line of headings; numbers are right-aligned.

    With a `width`, long columns are shortened until the table fits, and what then still does not fit is left out.
    """
    values = [list(row) for row in rows]
    lines = [
        [
            cut_long_words(format_cell(value)) if widest is None else shorten_text(format_cell(value), widest)
            for value in row
        ]
        for row in values
    ]
    right = [_is_numeric(row[i] for row in values) for i in range(len(columns))]
    whole = TextTable([[name.upper().replace("_", " ")] for name in columns], lines, right)
    if width is None or not columns:
        return whole.format_rows()
    fitting, left_out = fit_table(whole, width)
    note = f"not shown at this width: {', '.join(left_out)}; --json and a pipe have all" if left_out else ""
    return fitting.format_rows() + "".join(f"{line}\n" for line in textwrap.wrap(note, max(width, 20)))


def find_terminal_width() -> int | None:
    """Return the width of the terminal that shows stdout; None for a file or a pipe, where a table stays complete."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _is_numeric(values: Iterable[object]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)


def write_table(batches: pa.RecordBatchReader, stream: BinaryIO) -> None:
    """Write an aligned table."""
    rows = [list(row.values()) for batch in batches for row in _read_rows(batch)]
    # The terminal's width counts only where the table goes to the terminal.
    width = find_terminal_width() if stream is getattr(sys.stdout, "buffer", None) else None
    stream.write(format_table(batches.schema.names, rows, width=width).encode())
    stream.write(f"{len(rows)} row{'' if len(rows) == 1 else 's'}\n".encode())


def write_csv(batches: pa.RecordBatchReader, stream: BinaryIO) -> None:
    """Write CSV. Control characters stay: a spreadsheet is not a terminal. But it would run text that is a formula."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(batches.schema.names)
    for batch in batches:
        writer.writerows([_quote_formula(_to_scalar(value)) for value in row.values()] for row in _read_rows(batch))
    text.detach()


def _quote_formula(value: object) -> object:
    """Return text that a spreadsheet would take for a formula with an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def write_json(batches: pa.RecordBatchReader, stream: BinaryIO) -> None:
    """Write one list of objects."""
    separator = b"["
    for batch in batches:
        for row in _read_rows(batch):
            stream.write(separator + b"\n" + encode_json_line(row))
            separator = b","
    stream.write(b"[]\n" if separator == b"[" else b"\n]\n")


def write_jsonl(batches: pa.RecordBatchReader, stream: BinaryIO) -> None:
    """Write one object per line."""
    for batch in batches:
        for row in _read_rows(batch):
            stream.write(encode_json_line(row) + b"\n")


def write_parquet(batches: pa.RecordBatchReader, stream: BinaryIO) -> None:
    """Write Parquet."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(stream, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


OUTPUTS: dict[str, Callable[[pa.RecordBatchReader, BinaryIO], None]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def encode_json_line(value: object) -> bytes:
    """Encode a value as one line of ASCII JSON, so that it holds no raw control character."""
    return json.dumps(value, default=_to_scalar).encode("ascii")


def _read_rows(batch: pa.RecordBatch) -> list[dict[str, object]]:
    """Return a batch as rows; columns of DuckDB's JSON type are parsed."""
    columns = {}
    for name, field, column in zip(batch.schema.names, batch.schema, batch.columns, strict=True):
        values = column.to_pylist()
        columns[name] = (
            [_parse_json(value) for value in values] if (field.metadata or {}).get(b"type") == b"JSON" else values
        )
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _parse_json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str | bytes) else value
    except ValueError:
        return value


def _to_scalar(value: object) -> object:
    if isinstance(value, bool):
        return format_cell(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict | list):
        return json.dumps(value, default=_to_scalar)
    return value if isinstance(value, str | int | float | None) else str(value)
