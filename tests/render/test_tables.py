from __future__ import annotations

import csv
import datetime
import io
import json
import unicodedata
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from replaytool.render.tables import OUTPUTS, format_cell, format_table
from replaytool.text import escape_controls

AT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678900)


def reader(rows: list[dict[str, Any]], *, json_column: str = "") -> pa.RecordBatchReader:
    data = pa.Table.from_pylist(rows)
    fields = [f.with_metadata({"type": "JSON"}) if f.name == json_column else f for f in data.schema]
    data = data.cast(pa.schema(fields))
    return pa.RecordBatchReader.from_batches(data.schema, data.to_batches())


ROWS: list[dict[str, Any]] = [
    {"name": "a\x1b[31m", "count": 3, "at": AT, "raw": '{"x": [1]}'},
    {"name": None, "count": None, "at": None, "raw": None},
]


def written(name: str) -> bytes:
    stream = io.BytesIO()
    OUTPUTS[name](reader(ROWS, json_column="raw"), stream)
    return stream.getvalue()


def test_a_table_is_aligned_and_shows_control_characters() -> None:
    lines = written("table").decode().splitlines()
    assert lines[0] == r"NAME       COUNT  AT                        RAW"
    assert lines[1] == r'a\x1b[31m      3  2026-01-02T03:04:05.678Z  {"x": [1]}'
    assert lines[-1] == "2 rows"


def test_programs_get_values_as_they_are() -> None:
    as_json = json.loads(written("json"))
    assert as_json[0] == {"name": "a\x1b[31m", "count": 3, "at": "2026-01-02T03:04:05.678900Z", "raw": {"x": [1]}}
    assert [json.loads(line) for line in written("jsonl").splitlines()] == as_json
    assert b"\x1b" not in written("json")
    rows = list(csv.DictReader(io.StringIO(written("csv").decode())))
    assert rows[0]["count"] == "3"
    assert json.loads(rows[0]["raw"]) == {"x": [1]}
    assert pq.read_table(io.BytesIO(written("parquet"))).column("count").to_pylist() == [3, None]


def test_no_rows() -> None:
    empty = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int32())]), [])
    stream = io.BytesIO()
    OUTPUTS["json"](empty, stream)
    assert json.loads(stream.getvalue()) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (True, "true"), (1.5, "1.5"), (b"abc", "3 bytes"), ({"a": "\n"}, '{"a": "\\n"}'), ("x\ny", r"x\ny")],
)
def test_cells(value: Any, shown: str) -> None:
    assert format_cell(value) == shown


@given(st.lists(st.tuples(st.text(max_size=80), st.integers() | st.none()), max_size=6))
def test_columns_stay_aligned_whatever_the_text(rows: list[tuple[str, int | None]]) -> None:
    lines = format_table(("text", "number"), rows).splitlines()
    assert len(lines) == len(rows) + 1
    assert all(cell_len(line) <= max(60, 4) + 2 + 80 for line in lines)
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") for line in lines for char in line)


def test_every_hidden_character_is_spelled_out() -> None:
    hidden = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    every = [chr(number) for number in range(0x30000)]
    assert [
        char for char in every if (escape_controls(char) == char) != (unicodedata.category(char) not in hidden)
    ] == []


NAMES = ("workflow_id", "run_id", "events_undone", "signals_re-applied", "state_after", "included")
WIDE = [
    (f"order-{n}", f"01a1faf5-4b66-740c-bdbe-677fdbfcb8{n}", n, 2, {"points": 250, "trips": [3, 4]}, "yes")
    for n in (17, 18)
]


@pytest.mark.parametrize("width", [120, 80, 40, 5])
def test_a_table_fits_the_terminal_and_says_what_it_leaves_out(width: int) -> None:
    whole = format_table(NAMES, WIDE)
    text = format_table(NAMES, WIDE, width=width)
    table, _, note = text.partition("not shown")
    if width >= 40:
        assert max(map(cell_len, text.splitlines())) <= width
    assert "order-17" in table
    assert bool(note) == (width <= 40)
    assert "not shown" not in whole
    assert "01a1faf5-4b66-740c-bdbe-677fdbfcb817" in whole


def test_headings_are_broken_before_cells_are_cut() -> None:
    rows = [("a", 1, 2)]
    names = ("name", "signals_re-applied", "events_undone")
    assert format_table(names, rows, width=30).splitlines() == [
        "      SIGNALS",
        "          RE-  EVENTS",
        "NAME  APPLIED  UNDONE",
        "a           1       2",
    ]
    assert format_table(names, rows, width=80) == format_table(names, rows)


def test_sql_fits_the_terminal_only_if_it_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replaytool.render.tables.find_terminal_width", lambda: 20)
    assert "not shown" not in written("table").decode()
