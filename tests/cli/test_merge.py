"""Shards, and their reports as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.test_check import SCHEMA
from tests.conftest import Call
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

CASES = {
    "activities_in_sequence": "changed_activity_renamed.py",
    "saga_with_compensation": "changed_order_of_undo.py",
    "timers": "workflow.py",
    "updates": "changed_activity_added.py",
    "loyalty": "builds/v2.py",
    "open_run": "changed_next_step_fails.py",
}
CODE = [part for case, file in CASES.items() for part in ("-w", str(FIXTURES / case / file))]
HISTORIES = [path for case in CASES for path in sorted((FIXTURES / case).glob("history*.json"))]


def timeless(report: Any) -> Any:
    """The report without what a clock says."""
    plain = json.loads(json.dumps(report))
    plain["summary"].pop("seconds")
    for run in plain["runs"]:
        run.pop("seconds")
    return plain


def checked(call: Call, *more: str) -> Any:
    result = call("check", *HISTORIES, *CODE, "-j", "1", "--sandbox", "off", "--format", "json", *more)
    jsonschema.validate(result.json, SCHEMA)
    return result


def same_when_merged(call: Call, folder: Path, shards: int) -> None:
    """A check in so many shards, merged, says what one check of everything says."""
    whole = checked(call)
    files = []
    for number in range(1, shards + 1):
        files.append(folder / f"{number}.json")
        files[-1].write_text(checked(call, "--shard", f"{number}/{shards}").out)
    parts = [json.loads(file.read_text()) for file in files]
    assert sum(part["summary"]["runs"] for part in parts) == whole.json["summary"]["runs"] == len(HISTORIES)
    assert {part["shard"]["all_runs"] for part in parts} == {len(HISTORIES)}
    merged = call("merge", *reversed(files), "--format", "json")
    assert merged.code == whole.code == 1
    assert timeless(merged.json) == timeless(whole.json)
    html = call("merge", *files, "--format", "html", "--format", "junit:all.xml").out
    assert html.count("<svg") == len(whole.json["causes"])
    assert f'tests="{len(HISTORIES)}"' in (folder / "all.xml").read_text()
    missing = call("merge", *files[:-1])
    assert missing.code == 2
    assert f"shard {shards}/{shards} is missing" in missing.err


def test_shards_merged_are_the_whole_report(call: Call, tmp_path: Path) -> None:
    same_when_merged(call, tmp_path, 3)


def test_a_run_is_always_in_the_same_shard(call: Call) -> None:
    case = FIXTURES / "timers"

    def count(shard: str) -> int:
        told = call("check", case / "history.json", "-w", case / "workflow.py", "--format", "json", "--shard", shard)
        assert told.code == 0, "an empty shard of something is no failure"
        return int(told.json["summary"]["runs"])

    assert count("1/1") == 1
    assert [count("1/2"), count("2/2")] in ([0, 1], [1, 0])


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_what_is_no_shard(call: Call, shard: str) -> None:
    assert call("check", *CODE, f"--shard={shard}").code == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 1, "runs": 3}', "\x00"])
def test_what_is_no_report(call: Call, tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    result = call("merge", "r.json")
    assert result.code == 2
    assert "--format json" in result.err
    assert call("merge", "nowhere.json").code == 2


def test_reports_of_different_code_are_not_one(call: Call, tmp_path: Path) -> None:
    case = FIXTURES / "timers"
    for file in ("workflow.py", "changed_duration.py"):
        call("check", case / "history.json", "-w", case / file, "--format", f"json:{file}.json")
    result = call("merge", "workflow.py.json", "changed_duration.py.json")
    assert result.code == 2
    assert "different code" in result.err
    same = call("merge", "workflow.py.json", "workflow.py.json", "--format", "json")
    assert same.json["summary"]["runs"] == 1
