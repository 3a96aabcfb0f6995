"""Runs as Arrow tables: the one way in which events enter the database, because it is the fast one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from replaytool.history import Run

_TEXT = pa.large_string()
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
    """A run with its names in this store."""

    id: int
    run_key: str
    source: str
    run: Run


def run_table(stored: Sequence[StoredRun]) -> pa.Table:
    """One row for each run; times are text here and are cast where they enter the table."""
    return pa.Table.from_pylist([_run_row(one) for one in stored], schema=RUN_SCHEMA)


def _run_row(stored: StoredRun) -> dict[str, object]:
    run = stored.run
    builds = [event.build_id for event in run.events if event.event_type == "WorkflowTaskCompleted" and event.build_id]
    row: dict[str, object] = {name: getattr(run, name, None) for name in RUN_SCHEMA.names}
    return row | {
        "id": stored.id,
        "run_key": stored.run_key,
        "source": stored.source,
        "started_at": run.events[0].event_time,
        "closed_at": None if run.status == "Running" else run.events[-1].event_time,
        "event_count": len(run.events),
        "first_build": builds[0] if builds else None,
        "last_build": builds[-1] if builds else None,
    }


def event_table(stored: Sequence[StoredRun]) -> pa.Table:
    """One row for each event of all these runs."""
    events = [event for one in stored for event in one.run.events]
    owners = [one.id for one in stored for _ in range(len(one.run.events))]
    return pa.table(
        {
            "run": pa.array(owners, pa.int32()),
            "event_id": pa.array([event.event_id for event in events], pa.int32()),
            "event_type": pa.array([event.event_type for event in events], pa.string()).dictionary_encode(),
            "event_time": pa.array([event.event_time for event in events], pa.string()),
            "build_id": pa.array([event.build_id for event in events], pa.string()),
            "raw": pa.array([event.raw for event in events], pa.large_binary()).cast(_TEXT),
        }
    )


def problem_table(stored: Sequence[StoredRun]) -> pa.Table:
    """One row for each problem of each run."""
    rows = [
        {"run": one.id, "code": problem.code, "message": problem.message, "event_id": problem.event_id}
        for one in stored
        for problem in one.run.problems
    ]
    schema = pa.schema([("run", pa.int32()), ("code", _TEXT), ("message", _TEXT), ("event_id", pa.int32())])
    return pa.Table.from_pylist(rows, schema=schema)
