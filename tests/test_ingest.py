"""The way from sources into the store: whole files, in bursts, with one line for what is bad."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import BinaryIO

import pytest

from replaytool import ingest
from replaytool.ingest import BadFile, LoadObserver
from replaytool.model.history import RunHints
from replaytool.sources import HistorySource
from replaytool.store import Store
from tests.formats.sample_histories import events


def _history(name: str, count: int = 8) -> bytes:
    return json.dumps({"events": events(f"run-{name}", name)[:count]}).encode()


def _source(name: str, content: bytes) -> HistorySource:
    return HistorySource(name, lambda: io.BytesIO(content))


def _keys(store: Store) -> set[str]:
    return {str(row.workflow_id) for row in store.list_runs()}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.duckdb")


def test_good_files_load_and_bad_ones_are_told(store: Store) -> None:
    seen: list[tuple[str, int]] = []
    told: list[BadFile] = []
    report = ingest.load_into_store(
        store,
        [_source("a", _history("a")), _source("bad", b'{"events": ['), _source("b", _history("b", 5))],
        LoadObserver(on_file=lambda name, count: seen.append((name, count)), on_bad=told.append),
    )
    assert (report.files, report.events, dict(report.outcomes)) == (3, 13, {"new": 2})
    assert seen == [("a", 8), ("b", 5)]
    assert told == report.bad
    assert [(bad.name, bool(bad.reason), bool(bad.hint)) for bad in told] == [("bad", True, True)]
    assert _keys(store) == {"a", "b"}


def test_a_file_with_one_bad_history_is_out_as_a_whole(store: Store) -> None:
    text = _history("a") + b"\n" + _history("b") + b'\n{"events": [}'
    report = ingest.load_into_store(store, [_source("mixed", text), _source("c", _history("c"))])
    assert [bad.name for bad in report.bad] == ["mixed"]
    assert _keys(store) == {"c"}


@pytest.mark.parametrize("limit", [1, 10, 30])
def test_a_long_file_is_one_transaction_over_several_batches(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(ingest, "_BATCH_EVENTS", limit)
    lines = [_history(f"w{number}") for number in range(20)]
    report = ingest.load_into_store(
        store, [_source("long", b"\n".join(lines)), _source("cut", b"\n".join([*lines, b"{"]))]
    )
    assert [bad.name for bad in report.bad] == ["cut"]
    assert dict(report.outcomes) == {"new": 20}
    assert len(set(report.run_keys)) == 20
    assert len(_keys(store)) == 20


def test_a_long_file_that_turns_bad_late_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "_BATCH_EVENTS", 10)
    lines = [_history(f"w{number}") for number in range(20)]
    report = ingest.load_into_store(store, [_source("long", b"\n".join([*lines, b"{"])), _source("a", _history("a"))])
    assert [bad.name for bad in report.bad] == ["long"]
    assert (report.events, _keys(store)) == (8, {"a"})


class _Failing(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


def _forbidden() -> BinaryIO:
    raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(("opener", "reason"), [(_Failing, "Input/output error"), (_forbidden, "Permission denied")])
def test_what_the_system_says_is_a_bad_file(store: Store, opener: type[_Failing], reason: str) -> None:
    report = ingest.load_into_store(store, [HistorySource("x", opener), _source("a", _history("a"))])
    assert [(bad.name, bad.reason) for bad in report.bad] == [("x", reason)]
    assert _keys(store) == {"a"}


@pytest.mark.parametrize(
    "deep", [b"[" * 100_000, b'{"events":' * 100_000, b'{"events":[{"eventId":"1","a":' + b"[" * 10**5]
)
def test_deep_nesting_is_refused(store: Store, deep: bytes) -> None:
    report = ingest.load_into_store(store, [_source("deep", deep + b'"eventId"'), _source("a", _history("a"))])
    assert [bad.name for bad in report.bad] == ["deep"]
    assert _keys(store) == {"a"}


def test_what_is_known_from_outside_is_used(store: Store) -> None:
    hints = RunHints(name="x", namespace="prod", workflow_id="w", run_id="r")
    found = events()
    for name in ("workflowId", "originalExecutionRunId"):
        del found[0]["workflowExecutionStartedEventAttributes"][name]
    ingest.load_into_store(store, [HistorySource("x", lambda: io.BytesIO(json.dumps(found).encode()), hints)])
    (row,) = store.list_runs()
    assert (row.namespace, row.workflow_id, row.run_id, row.run_id_from) == ("prod", "w", "r", "file name")


def test_an_interrupted_load_keeps_what_it_had(store: Store) -> None:
    def interrupted() -> BinaryIO:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest.load_into_store(store, [_source("a", _history("a")), HistorySource("b", interrupted)])
    assert _keys(store) == {"a"}
