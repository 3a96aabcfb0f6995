from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Call
from tests.support.paths import FIXTURES

HISTORY = FIXTURES / "activities_in_sequence" / "history.json"


def test_loading_twice_changes_nothing(call: Call) -> None:
    first = call("load", HISTORY, "--json")
    again = call("load", HISTORY, "--json")
    assert first.json["runs"] == {"new": 1}
    assert again.json["runs"] == {"same": 1}
    assert first.json["run_keys"] == again.json["run_keys"]


def test_a_longer_history_takes_the_place_of_the_shorter(call: Call, tmp_path: Path) -> None:
    whole = json.loads(HISTORY.read_bytes())
    (tmp_path / "short.json").write_text(json.dumps({"events": whole["events"][:5]}))
    assert call("load", "short.json", "--json").json["runs"] == {"new": 1}
    assert call("load", HISTORY, "--json").json["runs"] == {"grown": 1}
    assert call("load", "short.json", "--json").json["runs"] == {"shorter": 1}
    runs = call("runs", "--json").json
    assert [run["event_count"] for run in runs] == [len(whole["events"])]


def test_a_bad_file_is_one_line_and_the_others_load(call: Call, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.json").write_bytes(HISTORY.read_bytes())
    (tmp_path / "in" / "cut.json").write_bytes(HISTORY.read_bytes()[:700])
    (tmp_path / "in" / "noise.bin").write_bytes(bytes(range(256)))
    (tmp_path / "in" / "packed.json.gz").write_bytes(gzip.compress(HISTORY.read_bytes()))
    result = call("load", "in")
    assert result.code == 1
    lines = result.err.strip().splitlines()
    assert len(lines) == 2
    assert "cut.json (byte 700)" in lines[0]
    assert "cut off" in lines[0]
    assert "noise.bin" in lines[1]
    assert "1 runs" in result.out.replace("2 runs", "1 runs")
    assert call("load", "in", "--skip-bad").code == 0


def test_a_missing_name_does_not_take_the_others_with_it(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = call("load", "missing.json", HISTORY, "empty", "--json")
    assert result.code == 1
    assert result.json["runs"] == {"new": 1}
    assert [one["code"] for one in result.json["refused"]] == ["RT-SOURCE-2", "RT-SOURCE-1"]
    assert call("load", "missing.json", HISTORY, "--skip-bad").code == 0


def test_a_time_that_no_calendar_has_is_null_with_a_note(call: Call, tmp_path: Path) -> None:
    history = json.loads(HISTORY.read_bytes())
    history["events"][3]["eventTime"] = "99999-01-01T00:00:00Z"
    history["events"][4]["eventTime"] = "yesterday"
    (tmp_path / "odd.json").write_text(json.dumps(history))
    loaded = call("load", "odd.json", "--json")
    assert loaded.json["problems"]["no-event-time"] == 1
    rows = call("sql", "SELECT event_id, event_time FROM events ORDER BY event_id", "--format", "json").json
    assert [row["event_id"] for row in rows if row["event_time"] is None] == [4, 5]
    notes = call("sql", "SELECT event_id, message FROM problems WHERE code = 'no-event-time'", "--format", "json").json
    assert [(one["event_id"], "cannot be read" in one["message"]) for one in notes] == [(4, True), (5, True)]


def test_a_name_of_200000_letters_is_cut(call: Call, tmp_path: Path) -> None:
    result = call("load", "x" * 200_000)
    assert result.code == 2
    assert len(result.err) < 1000


def test_standard_input(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(HISTORY.read_bytes())))
    assert call("load", "-").code == 0
    assert len(call("runs", "--json").json) == 1


def test_a_folder_without_histories_says_so(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = call("load", "empty")
    assert result.code == 5
    assert "empty" in result.err
    assert "Traceback" not in result.err


def test_a_store_in_a_missing_folder_is_one_error(call: Call) -> None:
    result = call("--store", "no/such/folder/store.duckdb", "load", HISTORY)
    assert result.code == 2
    assert "no folder" in result.err


def hostile_history() -> dict[str, Any]:
    history: dict[str, Any] = json.loads(HISTORY.read_bytes())
    started = history["events"][0]["workflowExecutionStartedEventAttributes"]
    started["workflowId"] = "id\x1b[31m\nred\x07\u202e"
    started["workflowType"] = {"name": "Type\x1b]0;title\x07"}
    started["identity"] = "me\r\nforged line"
    started["input"] = {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "IlxnG1szMW1yZWQi"}]}
    return history


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["runs", "--json"],
        ["show", "{key}"],
        ["show", "{key}", "--json"],
        ["show", "{key}", "--event", "1"],
        ["sql", "SELECT workflow_id, workflow_type FROM runs"],
        ["sql", "SELECT raw FROM events"],
        ["sql", "SELECT raw FROM events", "--format", "jsonl"],
        ["diff", "{key}", "{key}", "--all"],
        ["show", "no\x1b[31m"],
    ],
)
def test_nothing_hostile_reaches_the_terminal(call: Call, tmp_path: Path, arguments: list[str]) -> None:
    file = tmp_path / "evil\x1b[31m.json"
    file.write_text(json.dumps(hostile_history()))
    (tmp_path / "bad\x1b[32m.json").write_text('{"events": [')
    key = call("load", file, "--json").json["run_keys"][0]
    for result in (
        call("load", tmp_path, "--skip-bad"),
        call(*(argument.format(key=key) if "{key}" in argument else argument for argument in arguments)),
    ):
        for text in (result.out, result.err):
            assert not any(char in text for char in "\x1b\x07\r\u202e"), text
        assert "\nred" not in result.out
        assert "\nforged" not in result.out
