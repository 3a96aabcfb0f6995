"""What becomes of a run that is loaded: once, at its longest, and whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replaytool import ingest
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Run
from replaytool.sources import open_sources
from replaytool.store import GROWN, NEW, SAME, SHORTER, RunFilter, Store
from tests.formats.sample_histories import OTHER_RUN_ID, events, one, payload
from tests.support.paths import FIXTURES

VIEWS = (
    *("runs", "events", "steps", "activities", "tasks", "signals", "updates", "timers", "children", "markers"),
    *("builds", "reset_points", "verdicts", "problems"),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.duckdb")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """All recorded histories in one store."""
    store = Store(tmp_path_factory.mktemp("real") / "store.duckdb")
    report = ingest.load_into_store(store, open_sources([str(FIXTURES / "*" / "history*.json")]))
    assert report.files
    assert not report.bad
    return store


def _add(store: Store, *runs: Run) -> list[str]:
    with store.open_writer() as writer:
        return [added.outcome for added in writer.add_runs([("a source", run) for run in runs])]


def _counts(store: Store) -> dict[str, int]:
    return {
        table: store.query_rows(f"SELECT count(*) AS n FROM {table}")[0]["n"]
        for table in ("run", "event", "problem", "run_build")
    }


def _cut(count: int) -> Run:
    return one({"events": events()[:count]})


def _other() -> Run:
    found = events()
    found[4]["activityTaskScheduledEventAttributes"]["input"] = {"payloads": [payload("other")]}
    return one({"events": found})


def test_loading_again_changes_nothing(store: Store) -> None:
    assert _add(store, _cut(8)) == [NEW]
    before = _counts(store)
    assert _add(store, _cut(8), _cut(8)) == [SAME, SAME]
    assert _counts(store) == before


def test_the_longer_record_replaces_the_shorter(store: Store) -> None:
    assert _add(store, _cut(4)) == [NEW]
    assert _add(store, _cut(8)) == [GROWN]
    (row,) = store.list_runs()
    assert (row.event_count, row.status) == (8, "Completed")
    assert [event.event_id for event in store.read_events(row.run_key)] == list(range(1, 9))
    assert _counts(store) == {"run": 1, "event": 8, "problem": 0, "run_build": 1}
    assert _add(store, _cut(5)) == [SHORTER]
    assert _counts(store)["event"] == 8


def test_the_same_within_one_burst(store: Store) -> None:
    assert _add(store, _cut(4), _cut(8), _cut(8), _cut(5)) == [NEW, GROWN, SAME, SHORTER]
    assert _counts(store) == {"run": 1, "event": 8, "problem": 0, "run_build": 1}


def test_the_same_ids_over_other_content_are_another_run(store: Store) -> None:
    assert _add(store, _cut(8), _other()) == [NEW, NEW]
    assert _add(store, _cut(8), _other()) == [SAME, SAME]
    first, second = sorted(store.list_runs(), key=lambda row: len(row.run_key))
    assert second.run_key.startswith(first.run_key + "-")
    problems = store.query_rows("SELECT run_key, code FROM problems")
    assert problems == [{"run_key": second.run_key, "code": "same-ids"}]
    assert len(store.read_events(first.run_key)) == len(store.read_events(second.run_key)) == 8


def test_another_spelling_is_the_same_run(store: Store) -> None:
    found = events()
    for event in found:
        event["version"] = "0"
        event["workerMayIgnore"] = False
    assert _add(store, _cut(8), one({"events": found})) == [NEW, SAME]


def test_runs_without_ids_are_told_apart_by_their_beginning(store: Store) -> None:
    def nameless(at: str) -> Run:
        found = events()
        started: dict[str, Any] = found[0]["workflowExecutionStartedEventAttributes"]
        for name in ("workflowId", "originalExecutionRunId"):
            del started[name]
        found[0]["eventTime"] = at
        return one({"events": found})

    assert _add(store, nameless("2026-01-01T00:00:00Z"), nameless("2026-01-02T00:00:00Z")) == [NEW, NEW]
    assert _add(store, nameless("2026-01-01T00:00:00Z")) == [SAME]


def test_what_was_loaded_is_given_back(store: Store) -> None:
    run = _cut(8)
    _add(store, run)
    (row,) = store.list_runs()
    kept = store.read_events(row.run_key)
    assert [event.raw for event in kept] == [event.raw for event in run.events]
    assert [(event.event_type, event.build_id) for event in kept] == [(e.event_type, e.build_id) for e in run.events]
    assert store.read_events(row.run_key, 5)[0].raw == run.events[4].raw
    assert (row.workflow_id, row.sha256, row.history_bytes) == ("order-7", run.sha256, run.history_bytes)
    assert (row.first_build, row.last_build) == ("v1", "v1")


def test_a_burst_that_fails_leaves_nothing(store: Store) -> None:
    _add(store, _cut(8))
    with pytest.raises(AttributeError), store.open_writer() as writer:
        writer.add_runs([("x", one({"events": events(OTHER_RUN_ID)})), ("y", None)])  # type: ignore[list-item]
    assert _counts(store)["run"] == 1


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_answers(real: Store, view: str) -> None:
    rows = real.query_rows(f"SELECT * FROM {view}")
    assert rows or view in ("verdicts", "problems")


def test_every_view_and_column_is_explained(real: Store) -> None:
    public = "duckdb_views() WHERE NOT internal AND schema_name = 'main'"
    views = real.query_rows(f"SELECT view_name, comment FROM {public}")
    assert {row["view_name"] for row in views} == set(VIEWS)
    columns = real.query_rows(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'main' "
        f"AND table_name IN (SELECT view_name FROM {public})"
    )
    assert not [row for row in [*views, *columns] if not row["comment"]]


def test_what_the_views_say_about_one_run(store: Store) -> None:
    _add(store, _cut(8))
    (activity,) = store.query_rows("SELECT * EXCLUDE (run_key, scheduled_at, started_at, closed_at) FROM activities")
    assert (activity["activity_type"], activity["outcome"], activity["attempt"]) == ("charge", "Completed", 1)
    assert json.loads(activity["input"]) == [3, "x"]
    assert json.loads(activity["result"]) == [True]
    (task,) = store.query_rows("SELECT * FROM tasks")
    assert (task["outcome"], task["build_id"], task["closed_event_id"]) == ("Completed", "v1", 4)
    (build,) = store.query_rows("SELECT * FROM builds")
    assert (build["build_id"], build["runs"], build["tasks"], build["is_hash"]) == ("v1", 1, 1, False)
    (point,) = store.query_rows("SELECT event_id, ordinal FROM reset_points")
    assert point == {"event_id": 4, "ordinal": 1}


def test_builds_agree_with_the_events(real: Store) -> None:
    summed = real.query_rows(
        "SELECT build_id, sum(tasks) AS tasks, min(first_seen) AS at FROM builds GROUP BY ALL ORDER BY 1"
    )
    counted = real.query_rows(
        "SELECT build_id, count(*) FILTER (event_type = 'WorkflowTaskCompleted') AS tasks, min(event_time) AS at "
        "FROM events WHERE build_id IS NOT NULL GROUP BY ALL ORDER BY 1"
    )
    assert summed == counted


def test_a_run_is_found_by_whatever_names_it(real: Store) -> None:
    row = real.list_runs(RunFilter(where="run_id IS NOT NULL"), 1)[0]
    assert real.find_run(row.run_key).run_key == row.run_key
    assert row.run_id is not None
    assert real.find_run(row.run_id).run_key == row.run_key
    assert real.find_run(row.run_id[:-3]).run_key == row.run_key
    with pytest.raises(ReplaytoolError, match="no run"):
        real.find_run("nothing of the kind")
    with pytest.raises(ReplaytoolError, match="there are several runs"):
        real.find_run("")
    with pytest.raises(ReplaytoolError, match="the query failed"):
        real.list_runs(RunFilter(where="no_such_column = 1"))


def _each_word() -> Iterator[str]:
    yield from ("\x1b[31m", "a\nb", "'; DROP TABLE run; --", "\u202e", "🙂" * 100)


@pytest.mark.parametrize("word", _each_word(), ids=range(5))
def test_hostile_ids_are_only_text(store: Store, word: str) -> None:
    _add(store, one({"events": events(workflow_id=word)}))
    assert store.find_run(word).workflow_id == word
