"""One measurement in a process of its own, on one core: `measure_once.py WHAT FOLDER` prints a line of JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def replaytool(folder: Path, work: Path) -> dict[str, Any]:
    """Parse and store, as `replaytool load FOLDER` does. Imports are outside of the clock here, as with the others."""
    from replaytool import ingest
    from replaytool.formats.temporal import json_files
    from replaytool.sources import open_sources
    from replaytool.store import Store

    assert json_files
    path = work / "store.duckdb"
    clock = _Clock()
    report = ingest.load_into_store(Store(path), open_sources([str(folder)]))
    assert not report.bad, report.bad[0]
    return clock.stopped() | {"events": report.events, "store": path.stat().st_size}


def official(folder: Path, work: Path) -> dict[str, Any]:
    """Parse with the SDK, which stores nothing."""
    from temporalio.client import WorkflowHistory

    clock = _Clock()
    events = 0
    for path in _files(folder):
        for text in _one_history_each(path):
            events += len(WorkflowHistory.from_json("benchmark", text).events)
    return clock.stopped() | {"events": events}


def duckdb(folder: Path, work: Path) -> dict[str, Any]:
    """The same extraction into the same columns by DuckDB's own reader of JSON."""
    from duckdb import connect

    path = work / "plain.duckdb"
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "storage_compatibility_version": "v1.5.0",
        "preserve_insertion_order": False,
    }
    connection = connect(str(path), config=config)
    connection.execute("SET wal_autocheckpoint = '1KB'")
    connection.execute(_TABLES)
    files = [str(path) for path in _files(folder)]
    longest = max(os.path.getsize(name) for name in files) * 2
    clock = _Clock()
    for sql, parameters in ((_EVENTS.format(longest=longest), [files]), (_RUNS, []), (_BUILDS, [])):
        connection.execute(sql, parameters)
    events = connection.execute("SELECT count(*) FROM event").fetchall()[0][0]
    connection.close()
    return clock.stopped() | {"events": events, "store": path.stat().st_size}


def nothing(folder: Path, work: Path) -> dict[str, Any]:
    """What the imports alone take, to know what is ours."""
    from replaytool import ingest

    assert ingest
    return _Clock().stopped()


_TABLES = """
CREATE TABLE event (
    source VARCHAR NOT NULL, run BIGINT, event_id INTEGER, event_type VARCHAR, event_time TIMESTAMP, build_id VARCHAR,
    raw VARCHAR USING COMPRESSION zstd
)
"""
_EVENTS = """
INSERT INTO event
SELECT
    filename,
    run,
    CAST(event ->> '$.eventId' AS INTEGER),
    array_to_string(
        list_transform(string_split(substr(event ->> '$.eventType', 12), '_'), lambda w: w[1] || lower(w[2:])), ''
    ),
    CAST(event ->> '$.eventTime' AS TIMESTAMP),
    coalesce(
        event ->> '$.workflowTaskStartedEventAttributes.workerVersion.buildId',
        event ->> '$.workflowTaskCompletedEventAttributes.workerVersion.buildId',
        event ->> '$.activityTaskStartedEventAttributes.workerVersion.buildId'
    ),
    event
FROM (
    SELECT filename, row_number() OVER () AS run, events FROM read_json(
        ?, columns = {{events: 'JSON[]'}}, filename = true, maximum_object_size = {longest}, format = 'auto'
    )
) AS file, unnest(events) AS one (event)
"""
_RUNS = """
CREATE TABLE run AS
SELECT
    source,
    run,
    any_value(started ->> '$.workflowId') AS workflow_id,
    any_value(started ->> '$.originalExecutionRunId') AS run_id,
    any_value(started ->> '$.workflowType.name') AS workflow_type,
    count(*) AS events,
    min(event_time) AS started_at,
    sum(strlen(raw)) AS history_bytes
FROM (
    SELECT
        *,
        CASE WHEN event_id = 1 THEN CAST(raw AS JSON) -> '$.workflowExecutionStartedEventAttributes' END AS started
    FROM event
)
GROUP BY source, run
"""
_BUILDS = """
CREATE TABLE run_build AS
SELECT source, run, build_id, count(*) AS events, min(event_time) AS first_seen, max(event_time) AS last_seen
FROM event WHERE build_id IS NOT NULL GROUP BY ALL
"""


class _Clock:
    """Time, processor time and memory since it was made."""

    def __init__(self) -> None:
        self.wall = time.perf_counter()
        self.cpu = time.process_time()

    def stopped(self) -> dict[str, Any]:
        return {
            "wall": time.perf_counter() - self.wall,
            "cpu": time.process_time() - self.cpu,
            "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _one_history_each(path: Path) -> list[str]:
    # The SDK reads one history at a time; finding the lines is not what is measured, and costs it nearly nothing.
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


WHAT: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "replaytool": replaytool,
    "official": official,
    "duckdb": duckdb,
    "nothing": nothing,
}

if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(WHAT[sys.argv[1]](Path(sys.argv[2]), Path(scratch))))
