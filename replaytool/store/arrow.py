"""Runs as Arrow tables, which is the fastest way into DuckDB."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from replaytool.model.history import Event, Run
from replaytool.model.recorded_step import ABSENT, RecordedStep

_TEXT = pa.large_string()
_TABLE_BYTES = 2 * 1024 * 1024
_AT_ONCE = 512
_BUILD_SCHEMA = pa.schema(
    [
        ("run", pa.int32()),
        *((name, _TEXT) for name in ("build_id", "deployment_name")),
        *((name, pa.int32()) for name in ("tasks", "activities")),
        *((name, _TEXT) for name in ("first_seen", "last_seen")),
    ]
)
_VALUES = ("input", "result", "failure")
_STEP_SCHEMA = pa.schema(
    [
        ("run", pa.int32()),
        *((name, _TEXT) for name in ("step_id", "kind", "name", "parent_step_id", "child_workflow_id")),
        *((name, pa.int32()) for name in ("event_id", "closed_event_id")),
        ("outcome", _TEXT),
        ("attempt", pa.int32()),
        *((name, _TEXT) for name in ("scheduled_at", "started_at", "closed_at", "build_id", *_VALUES)),
    ]
)
RUN_SCHEMA = pa.schema(
    [
        ("id", pa.int32()),
        *((name, _TEXT) for name in ("run_key", "engine", "namespace", "workflow_id", "run_id", "run_id_from")),
        *((name, _TEXT) for name in ("workflow_type", "task_queue", "status", "started_at", "closed_at")),
        ("event_count", pa.int32()),
        ("history_bytes", pa.int64()),
        *((name, _TEXT) for name in ("first_build", "last_build", "parent_workflow_id", "first_run_id")),
        *((name, _TEXT) for name in ("continued_run_id", "reset_from_run_id", "sdk_name", "sdk_version")),
        *((name, _TEXT) for name in ("source", "format", "sha256")),
    ]
)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run with its id and key in this store."""

    id: int
    run_key: str
    source: str
    run: Run
    size: int
    """Bytes of its events. Counted once, since counting takes time."""
    steps: Sequence[RecordedStep] = ()


def run_table(stored: Sequence[StoredRun]) -> pa.Table:
    """Return one row for each run. Times are text here and are cast when they are inserted."""
    runs = [one.run for one in stored]
    made: dict[str, list[Any]] = {
        "id": [one.id for one in stored],
        "run_key": [one.run_key for one in stored],
        "source": [one.source for one in stored],
        "started_at": [run.events[0].event_time for run in runs],
        "closed_at": [None if run.status == "Running" else run.events[-1].event_time for run in runs],
        "event_count": [len(run.events) for run in runs],
        "history_bytes": [one.size for one in stored],
    }
    columns = (made[name] if name in made else list(map(attrgetter(name), runs)) for name in RUN_SCHEMA.names)
    return pa.Table.from_arrays(
        [pa.array(column, one.type) for column, one in zip(columns, RUN_SCHEMA, strict=True)], schema=RUN_SCHEMA
    )


def event_tables(stored: Sequence[StoredRun]) -> Iterator[pa.Table]:
    """Yield one row for each event, in tables of a few megabytes: allocating fresh memory costs most here."""
    owners: list[int] = []
    events: list[Event] = []
    size = 0
    for one in stored:
        for start in range(0, len(one.run.events), _AT_ONCE):
            some = one.run.events[start : start + _AT_ONCE]
            owners += [one.id] * len(some)
            events += some
            size += one.size * len(some) // len(one.run.events)
            if size > _TABLE_BYTES:
                yield _event_table(owners, events)
                owners, events, size = [], [], 0
    if events:
        yield _event_table(owners, events)


def _event_table(owners: list[int], events: list[Event]) -> pa.Table:
    return pa.table(
        {
            "run": pa.array(owners, pa.int32()),
            "event_id": pa.array([event.event_id for event in events], pa.int32()),
            "event_type": _encode_names([event.event_type for event in events]),
            "event_time": pa.array([event.event_time for event in events], pa.string()),
            "build_id": pa.array([event.build_id for event in events], pa.string()),
            "raw": _encode_raw_events([event.raw for event in events]),
        }
    )


def _encode_names(names: Sequence[str]) -> pa.Array:
    """Encode a few different texts as a dictionary. Arrow's own way needs an import that takes longer than this."""
    places: dict[str, int] = {}
    indices = [places.setdefault(name, len(places)) for name in names]
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(list(places), pa.string()))


def _encode_raw_events(raws: Sequence[bytes]) -> pa.Array:
    """Encode events as text without checking them: our own JSON encoder made them."""
    offsets = array("q", accumulate(map(len, raws), initial=0))
    return pa.LargeStringArray.from_buffers(len(raws), pa.py_buffer(offsets), pa.py_buffer(b"".join(raws)))


def build_table(stored: Sequence[StoredRun]) -> pa.Table:
    """Return one row for each build in each run: its tasks, its activities, its first and last event."""
    rows = [(one.id, use) for one in stored for use in one.run.builds]
    columns = [pa.array([run for run, _ in rows], pa.int32())]
    for field in list(_BUILD_SCHEMA)[1:]:
        columns.append(pa.array([getattr(use, field.name) for _, use in rows], field.type))
    return pa.Table.from_arrays(columns, schema=_BUILD_SCHEMA)


def step_table(stored: Sequence[StoredRun]) -> pa.Table:
    """Return one row for each step that an engine read from its record."""
    rows = [(one.id, step) for one in stored for step in one.steps]
    columns = [pa.array([run for run, _ in rows], pa.int32())]
    for field in list(_STEP_SCHEMA)[1:]:
        values = [getattr(step, field.name) for _, step in rows]
        columns.append(pa.array(map(_encode_value, values) if field.name in _VALUES else values, field.type))
    return pa.Table.from_arrays(columns, schema=_STEP_SCHEMA)


def _encode_value(value: object) -> str | None:
    """Return a value as JSON. None is a value too, and becomes `null`; only an absent value becomes NULL."""
    return None if value is ABSENT else msgspec.json.encode(value, enc_hook=repr).decode()


def problem_table(stored: Sequence[StoredRun]) -> pa.Table:
    """Return one row for each problem of each run."""
    rows = [
        {"run": one.id, "code": problem.code, "message": problem.message, "event_id": problem.event_id}
        for one in stored
        for problem in one.run.problems
    ]
    schema = pa.schema([("run", pa.int32()), ("code", _TEXT), ("message", _TEXT), ("event_id", pa.int32())])
    return pa.Table.from_pylist(rows, schema=schema)
