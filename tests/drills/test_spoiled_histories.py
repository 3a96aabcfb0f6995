"""Spoiled histories are loaded or refused: no other exception, no hang, and what loads can be asked about."""

from __future__ import annotations

import io
import json
import resource
import time
from pathlib import Path

import pytest

from replaytool import ingest
from replaytool.errors import ReplaytoolError
from replaytool.formats import Unreadable
from replaytool.formats.temporal.export import export_binary, export_json
from replaytool.ingest import BadFile
from replaytool.model.history import Run
from replaytool.sources import HistorySource
from replaytool.store import Store
from tests.drills.spoiled_histories import mutated, samples

pytestmark = pytest.mark.slow

_SECONDS = 5.0
_GROUP = 250
_VIEWS = (
    *("runs", "events", "activities", "tasks", "signals", "updates", "timers", "children", "markers", "builds"),
    *("reset_points", "verdicts", "problems"),
)


def test_some_spoiled_histories(tmp_path: Path) -> None:
    _drill(range(300), tmp_path)


@pytest.mark.drill
def test_twenty_thousand_spoiled_histories(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _drill(range(20_000), tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 * 1024


def _drill(numbers: range, folder: Path) -> None:
    texts = samples()
    for start in range(numbers.start, numbers.stop, _GROUP):
        store = Store(folder / f"{start}.duckdb")
        group = range(start, min(start + _GROUP, numbers.stop))
        report = ingest.load_into_store(store, (_timed(number, mutated(number, texts)) for number in group))
        assert report.files == len(group)
        assert all(isinstance(bad, BadFile) and bad.reason for bad in report.bad)
        _assert_readable(store, set(report.run_keys))
        (folder / f"{start}.duckdb").unlink()


def _timed(number: int, content: bytes) -> HistorySource:
    """The source, after its content was read once by itself: a case that takes long is found by its number."""
    source = HistorySource(f"case {number}", lambda: io.BytesIO(content))
    began = time.perf_counter()
    try:
        runs: list[Run] = list(ingest.read_runs(source))
    except Unreadable:
        runs = []
    assert time.perf_counter() - began < _SECONDS, f"case {number} takes long"
    for run in runs:
        assert [event.event_id for event in run.events] == sorted(event.event_id for event in run.events)
    return source


def _assert_readable(store: Store, keys: set[str]) -> None:
    for view in _VIEWS:
        store.query_rows(f"SELECT * FROM {view}")
    assert store.query_rows("SELECT count(*) AS n FROM runs")[0]["n"] == len(keys)
    for row in store.list_runs():
        events = store.read_events(row.run_key)
        assert len(events) == row.event_count
        json.loads(export_json(events))
        try:
            export_binary(events)
        except ReplaytoolError as error:
            assert error.hint  # noqa: PT017
