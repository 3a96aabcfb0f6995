"""Histories that real servers wrote: what the SDK takes without loss comes back as an equal proto.

Set REPLAYTOOL_CORPUS to a folder of exported histories to try those too.
"""

from __future__ import annotations

import gzip
import os
import warnings
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseError
from google.protobuf.message import DecodeError
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from replaytool.formats import Unreadable
from replaytool.formats.temporal.export import export_binary, export_json
from replaytool.ingest import read_runs
from replaytool.model.history import Run
from replaytool.sources import open_sources
from tests.support.paths import FIXTURES

_FIXTURES = sorted(FIXTURES.glob("*/history*.json"))
_CORPUS = Path(os.environ.get("REPLAYTOOL_CORPUS", "."))
_IN_CORPUS = [path for path in sorted(_CORPUS.rglob("*")) if path.is_file() and path.name != "MANIFEST.csv"]


def _runs(path: Path) -> list[Run]:
    (source,) = open_sources([str(path)])
    return list(read_runs(source))


def _official(path: Path) -> History | None:
    """What the SDK reads; None where it refuses, or loses the types or times of events that are in the file."""
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    try:
        if data[:1] == b"\x0a":
            loaded = History.FromString(data)
        else:
            loaded = History(events=WorkflowHistory.from_json("", data.decode()).events)
    except (ValueError, TypeError, AttributeError, DecodeError, ParseError):
        return None
    return loaded if all(event.event_type and event.HasField("event_time") for event in loaded.events) else None


def _assert_equal(path: Path) -> bool:
    official = _official(path)
    if official is None:
        return False
    (run,) = _runs(path)
    events = sorted(official.events, key=lambda event: event.event_id)
    assert History(events=WorkflowHistory.from_json("", export_json(run.events).decode()).events) == History(
        events=events
    )
    assert History.FromString(export_binary(run.events)) == History(events=events)
    return True


@pytest.mark.parametrize("path", _FIXTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fixtures_come_back_as_an_equal_proto(path: Path) -> None:
    assert _assert_equal(path)
    (run,) = _runs(path)
    assert {problem.code for problem in run.problems} <= {"blind", "hash-build-id", "no-run-id", "no-workflow-id"}


needs_corpus = pytest.mark.skipif("REPLAYTOOL_CORPUS" not in os.environ, reason="REPLAYTOOL_CORPUS is not set")


@needs_corpus
@pytest.mark.parametrize("path", _IN_CORPUS if "REPLAYTOOL_CORPUS" in os.environ else [], ids=str)
def test_each_file_of_the_corpus_is_loaded_or_refused(path: Path) -> None:
    try:
        runs = _runs(path)
    except Unreadable:
        return
    for run in runs:
        strange = {event.event_id for event in run.events if not event.event_type.isalpha()}
        assert not strange or "unknown-event" in {problem.code for problem in run.problems}
        assert "Unspecified" not in {event.event_type for event in run.events}


@needs_corpus
def test_the_corpus_comes_back_as_an_equal_proto() -> None:
    compared = sum(_assert_equal(path) for path in _IN_CORPUS)
    assert compared
    warnings.warn(f"{compared} of {len(_IN_CORPUS)} files compared", stacklevel=1)
