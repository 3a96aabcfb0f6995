"""Filters of runs: the command line passes values as parameters, the screens write them into a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from replaytool.model.history import Event, Run
from replaytool.store import RUN_FILTERS, RUN_SORTS, RunFilter, Store, filter_runs


def _run(day: int, name: str, workflow_type: str, namespace: str | None) -> Run:
    events = [Event(1, "Row", f"2026-01-0{day}T00:00:00Z", None, b"{}")]
    run = Run("toy", "toy journal", events, workflow_type, "Running", "none", sha256=name)
    return replace(run, workflow_id=name, run_id=f"run-{name}", namespace=namespace)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(Path(tmp_path_factory.mktemp("store")) / "store.duckdb")
    chosen = [("it's", "Trip", "a"), ("b", "Trip", None), ("c", "Pay", "b")]
    runs = [_run(day, *one) for day, one in enumerate(chosen, 1)]
    with store.open_writer() as writer:
        writer.add_runs([(run.sha256, run) for run in runs])
    return store


def _ids(store: Store, wanted: RunFilter) -> list[str | None]:
    return [row.workflow_id for row in store.list_runs(wanted)]


def _listed_ids(store: Store, wanted: RunFilter) -> list[str]:
    with store.open_run_list(wanted, "started_at") as batches:
        return [str(row["workflow_id"]) for row in batches.read_all().to_pylist()]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("workflow_type", "Trip", ["it's", "b"]),
        ("workflow_type", "'; DROP TABLE run; --", []),
        ("status", "running", ["it's", "b", "c"]),
        ("since", "2026-01-02", ["b", "c"]),
        ("until", "2026-01-02", ["it's"]),
        ("build", "v1", []),
        ("problem", "blind", []),
        ("verdict", "ok", []),
        ("anywhere", "IT'S", ["it's"]),
    ],
)
def test_both_ways_find_the_same_runs(store: Store, name: str, value: str, found: list[str]) -> None:
    assert _ids(store, filter_runs(**{name: value})) == found
    assert _listed_ids(store, filter_runs(**{name: value})) == found


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("namespace", "a", ["it's", "b"]),
        ("ids", ["run-b", "c"], ["b", "c"]),
        ("except_ids", ["run-b", "c"], ["it's"]),
        ("run_ids", ["run-b"], ["b"]),
        ("run_ids", [], []),
        ("run_keys", [], []),
        ("workflow_ids", ["c", "none"], ["c"]),
    ],
)
def test_the_products_own_filters(store: Store, name: str, value: str | Sequence[str], found: list[str]) -> None:
    assert _ids(store, filter_runs(**{name: value})) == found


def test_conditions_are_joined(store: Store) -> None:
    assert _ids(store, RunFilter((("workflow_type", "Trip"),), "workflow_id = 'b' -- a comment")) == ["b"]
    assert _ids(store, RunFilter((("workflow_type", "Trip"),), "false OR true")) == ["it's", "b"]
    assert len(store.list_runs(limit=2)) == 2


def test_every_filter_and_sort_is_a_query(store: Store) -> None:
    wanted = RunFilter([(name, "1h") for name in RUN_FILTERS])
    for sort in RUN_SORTS:
        with store.open_run_list(wanted, sort, descending=True) as batches:
            assert batches.read_all().num_rows == 0


def test_runs_are_read_by_key(store: Store) -> None:
    keys = store.list_run_keys()
    assert sorted(store.read_runs(keys[:2])) == keys[:2]
    assert store.count_runs_and_events() == (3, 3)
    assert store.find_newest_runs(["b", "x"]) == {"b": ("run-b", "Running")}
    assert store.read_pin_facts("toy", keys) == {}
