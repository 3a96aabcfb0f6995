"""The commands that look at what is loaded."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from google.protobuf.json_format import Parse
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from tests.conftest import Call
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow


def test_runs_are_filtered(loaded: Call) -> None:
    every = loaded("runs", "--json").json
    assert len(every) >= 4
    one = every[0]
    by_type = loaded("runs", "--type", one["workflow_type"], "--json").json
    assert {run["workflow_type"] for run in by_type} == {one["workflow_type"]}
    assert loaded("runs", "--status", "completed", "--json").json
    assert loaded("runs", "--where", "event_count > 10000").code == 5
    assert len(loaded("runs", "--limit", "2", "--json").json) == 2
    assert loaded("runs", "--since", "2001-01-01", "--json").json == every
    assert loaded("runs", "--until", "2001-01-01").code == 5
    assert loaded("runs", "--since", "1h").code == 5
    assert loaded("runs", "--since", one["started_at"], "--json").json == every
    assert len(loaded("runs", "--build", one["last_build"], "--json").json) >= 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs", "--where", "nonsense ="], "the query failed"),
        (["runs", "--where", "1=1); DROP TABLE run; --"], "the query failed"),
        (["runs", "--since", "yesterday"], "yesterday is not a time"),
        (["show", "nobody"], "no run 'nobody'"),
        (["sql", ""], "the query is empty"),
        (["sql", "SELECT * FROM no_such_view"], "no_such_view"),
        (["sql", "COPY runs TO 'out.csv'"], "--allow-files"),
        (["sql", "ATTACH 'other.duckdb'"], "--allow-files"),
        (["sql", "SELECT * FROM read_text('/etc/hostname')"], "--allow-files"),
        (["sql", "INSTALL httpfs"], "--allow-files"),
        (["sql", "FROM 'data.parquet'"], "--allow-files"),
        (["sql", "FROM '/etc/hostname'"], "--allow-files"),
        (["sql", "SELECT 1", "--json", "--format", "csv"], "cannot be combined"),
        (["sql", "DELETE FROM run"], "read-only"),
        (["sql", "SET enable_external_access = true"], "--allow-files"),
        (["export", "a", "b"], "folder"),
    ],
)
def test_what_cannot_be_done_is_one_error(loaded: Call, arguments: list[str], says: str) -> None:
    result = loaded(*arguments)
    assert result.code == 2
    assert says in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_a_store_that_is_not_there(call: Call) -> None:
    result = call("runs")
    assert result.code == 2
    assert "there is no store" in result.err


def test_an_ambiguous_name_lists_what_it_may_mean(loaded: Call) -> None:
    result = loaded("show", "")
    assert result.code == 2
    assert "there are several runs" in result.err
    assert re.search(r"\dT\d\d:\d\d:\d\d\.\d+Z", result.err)


def test_sql_writes_json_and_the_truth_as_others_spell_it(loaded: Call) -> None:
    query = "SELECT true AS yes, run_key FROM runs LIMIT 1"
    assert loaded("sql", query, "--json").json[0]["yes"] is True
    assert loaded("sql", query, "--format", "csv").out.splitlines()[1].startswith("true,")


def test_show_names_events_and_decodes_payloads(loaded: Call) -> None:
    run = loaded("runs", "--json").json[0]
    shown = loaded("show", run["run_key"], "--json").json
    assert [event["event_id"] for event in shown["events"]] == list(range(1, run["event_count"] + 1))
    scheduled = next(event for event in shown["events"] if event["event_type"] == "ActivityTaskScheduled")
    completed = next(event for event in shown["events"] if event["event_type"] == "ActivityTaskCompleted")
    assert scheduled["name"] == completed["name"] != ""
    whole = json.loads(loaded("show", run["run_key"], "--event", str(scheduled["event_id"])).out)
    assert whole["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"
    assert "encoding" not in json.dumps(whole["activityTaskScheduledEventAttributes"].get("input", {}))
    missing = loaded("show", run["run_key"], "--event", "999")
    assert missing.code == 2
    assert f"1 to {run['event_count']}" in missing.err


def test_a_run_is_no_different_from_itself(loaded: Call) -> None:
    key = loaded("runs", "--json").json[0]["run_key"]
    result = loaded("diff", key, key)
    assert result.code == 0
    assert "no difference" in result.out


def test_diff_finds_the_first_difference_whatever_the_event_ids(loaded: Call, tmp_path: Path) -> None:
    history = json.loads((FIXTURES / "activities_in_sequence" / "history.json").read_bytes())
    started = history["events"][0]["workflowExecutionStartedEventAttributes"]
    started["originalExecutionRunId"] = started["firstExecutionRunId"] = "00000000-0000-0000-0000-000000000001"
    scheduled = next(e for e in history["events"] if e["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED")
    scheduled["activityTaskScheduledEventAttributes"]["startToCloseTimeout"] = "77s"
    (tmp_path / "other.json").write_text(json.dumps(history))
    other = loaded("load", "other.json", "--json").json["run_keys"][0]
    mine = loaded("load", FIXTURES / "activities_in_sequence" / "history.json", "--json").json["run_keys"][0]
    result = loaded("diff", mine, other, "--json")
    assert result.code == 1
    (pair,) = result.json["pairs"]
    assert pair["mark"] == "~"
    assert [(change["path"], change["right"]) for change in pair["changes"]] == [("startToCloseTimeout", "77s")]
    assert "startToCloseTimeout" in loaded("diff", mine, other).out


def test_builds_mark_hashes(loaded: Call) -> None:
    rows = loaded("builds", "--json").json
    assert rows
    assert {"build_id", "runs", "tasks", "is_hash"} <= rows[0].keys()
    assert loaded("builds").out.startswith("BUILD ID")


def test_sql_writes_every_format(loaded: Call, tmp_path: Path) -> None:
    query = "SELECT run_key, event_count, started_at FROM runs ORDER BY run_key"
    count = len(loaded("runs", "--json").json)
    assert loaded("sql", query).out.count("\n") == count + 2
    rows = list(csv.DictReader(io.StringIO(loaded("sql", query, "--format", "csv").out)))
    assert len(rows) == count
    as_json = loaded("sql", query, "--format", "json").json
    lines = [json.loads(line) for line in loaded("sql", query, "--format", "jsonl").out.splitlines()]
    assert as_json == lines
    assert [row["run_key"] for row in rows] == [row["run_key"] for row in lines]
    assert loaded("sql", query, "-o", "out.parquet").code == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == count
    assert loaded("sql", f"COPY ({query}) TO 'copied.csv'", "--allow-files").code == 0
    assert (tmp_path / "copied.csv").exists()


def test_sql_gives_json_columns_as_json(loaded: Call) -> None:
    (row,) = loaded("sql", "SELECT raw FROM events LIMIT 1", "--format", "json").json
    assert isinstance(row["raw"], dict)
    assert loaded("sql", "SELECT 1 WHERE false", "--format", "json").json == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("*/history*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_export_gives_back_an_equal_history(call: Call, path: Path) -> None:
    key = call("load", path, "--json").json["run_keys"][0]
    original = WorkflowHistory.from_json("id", path.read_text())
    exported = WorkflowHistory.from_json("id", call("export", key).out)
    assert exported.events == original.events
    call("export", key, "--format", "binary", "-o", "out.binpb")
    assert History.FromString(Path("out.binpb").read_bytes()) == Parse(
        path.read_text(), History(), ignore_unknown_fields=True
    )


def test_export_several_runs_into_a_folder(loaded: Call, tmp_path: Path) -> None:
    keys = [run["run_key"] for run in loaded("runs", "--json").json[:2]]
    assert loaded("export", *keys, "-o", "out").code == 0
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(keys)
    assert loaded("load", "out", "--json").json["runs"] == {"same": 2}


def test_formats_lists_what_is_read_and_what_is_refused(call: Call) -> None:
    rows = {row["format"]: row["loads"] for row in call("formats", "--json").json}
    assert rows["temporal-json"]
    assert rows["temporal-proto"]
    assert not rows["aws-swf"]
