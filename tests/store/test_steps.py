"""Steps of an engine that brings no SQL: rows of the step table, from which the views are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from replaytool import ingest
from replaytool.model.history import Event, Run
from replaytool.model.recorded_step import RecordedStep
from replaytool.sources import open_sources
from replaytool.store import GROWN, NEW, SAME, Store
from tests.store.view_contents import digest_views
from tests.support.paths import FIXTURES

GOLDEN = Path(__file__).with_name("golden_views.json")
AT = "2026-03-01T10:00:0{}Z".format
STEPS = (
    RecordedStep("1", "node", "ask_model", 1, closed_event_id=2, outcome="Completed", attempt=2, started_at=AT(1),
                 closed_at=AT(2), build_id="v1", input={"km": 3}, result=None),
    RecordedStep("1.1", "task", "look_up", 2, parent_step_id="1", closed_event_id=2, outcome="Failed",
                 closed_at=AT(2), build_id="v1", failure={"message": "no"}),
    RecordedStep("2", "timer", "sleep", 3, closed_event_id=4, outcome="Fired", scheduled_at=AT(3), input="30s"),
    RecordedStep("3", "child", "Pay", 4, child_workflow_id="pay-7", scheduled_at=AT(4)),
    RecordedStep("4", "local", "score", 5, closed_event_id=5, outcome="Completed", started_at=AT(5), build_id="v2",
                 result=[1.5]),
    RecordedStep("5", "wait", "approval", 6, started_at=AT(6)),
    RecordedStep("6", "step", "charge", 7, started_at=AT(7), build_id="v1"),
)  # fmt: skip


def _run(length: int = 7) -> Run:
    events = [Event(number, "Row", AT(number), None, b'{"row":%d}' % number) for number in range(1, length + 1)]
    return Run("toy", "toy journal", events, "Trip", "Running", "none", sha256=f"{length}", run_id="toy-1")


def _read_steps(run: Run) -> Sequence[RecordedStep]:
    return [step for step in STEPS if step.event_id <= len(run.events)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store.duckdb")
    with store.open_writer() as writer:
        assert [one.outcome for one in writer.add_runs([("a", _run())], _read_steps)] == [NEW]
    return store


def _rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.query_rows(sql)]


def test_a_step_is_what_its_engine_read(store: Store) -> None:
    first, second, *_ = store.query_rows("FROM steps ORDER BY event_id, step_id")
    assert (first["step_id"], first["kind"], first["name"], first["attempt"]) == ("1", "node", "ask_model", 2)
    assert (first["event_id"], first["closed_event_id"], first["outcome"]) == (1, 2, "Completed")
    assert first["started_at"].second == 1
    assert json.loads(first["input"]) == {"km": 3}
    assert second["parent_step_id"] == "1"
    assert json.loads(second["failure"]) == {"message": "no"}


def test_none_is_a_value_and_absent_is_null(store: Store) -> None:
    found = _rows(store, "SELECT step_id, result, failure IS NULL FROM steps WHERE kind IN ('node', 'timer')")
    assert sorted(found) == [("1", "null", True), ("2", None, True)]


def test_steps_stand_in_the_view_of_their_kind(store: Store) -> None:
    assert _rows(store, "SELECT activity_type, outcome, build_id FROM activities ORDER BY scheduled_event_id") == [
        ("ask_model", "Completed", "v1"),
        ("look_up", "Failed", "v1"),
        ("score", "Completed", "v2"),
        ("charge", "Scheduled", "v1"),
    ]
    timers = "SELECT timer_id, duration, outcome, second(started_at) FROM timers ORDER BY 1"
    assert _rows(store, timers) == [("2", "30s", "Fired", 3), ("5", None, "Scheduled", 6)]
    assert _rows(store, "SELECT workflow_id, workflow_type, initiated_event_id FROM children") == [("pay-7", "Pay", 4)]
    for view in ("tasks", "signals", "updates", "markers"):
        assert _rows(store, f"FROM {view}") == []


def test_builds_of_steps_are_builds_and_reset_points(store: Store) -> None:
    assert _rows(store, "SELECT build_id, event_id, ordinal FROM reset_points ORDER BY event_id") == [
        ("v1", 1, 1),
        ("v2", 5, 1),
        ("v1", 7, 2),
    ]
    assert _rows(store, "SELECT build_id, runs, activities FROM builds ORDER BY 1") == [("v1", 1, 3), ("v2", 1, 1)]
    (row,) = store.list_runs()
    assert (row.first_build, row.last_build) == ("v1", "v1")


def test_a_longer_record_replaces_the_steps(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.duckdb")
    with store.open_writer() as writer:
        assert [one.outcome for one in writer.add_runs([("a", _run(3))], _read_steps)] == [NEW]
        assert [one.outcome for one in writer.add_runs([("a", _run())], _read_steps)] == [GROWN]
        assert [one.outcome for one in writer.add_runs([("a", _run())], _read_steps)] == [SAME]
    assert len(_rows(store, "FROM steps")) == len(STEPS)


def test_a_load_asks_for_steps_only_where_no_sql_computes_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.duckdb")
    asked: list[str] = []

    def refuse(run: Run) -> Sequence[RecordedStep]:
        asked.append(run.engine)
        return ()

    report = ingest.load_into_store(store, open_sources([str(FIXTURES / "*" / "history*.json")]), read_steps=refuse)
    assert report.files
    assert asked == []
    assert _rows(store, "SELECT count(*) FROM step") == [(0,)]
    kinds = _rows(store, "SELECT kind, count(*) FROM steps GROUP BY ALL ORDER BY 1")
    assert kinds == [("activity", 217), ("child", 10), ("local", 8), ("nexus", 4), ("timer", 32)]
    # The digests are those of the version that had no steps: the other views hold what they held.
    assert store.path is not None
    assert json.loads(json.dumps(digest_views(store.path))) == json.loads(GOLDEN.read_text())
