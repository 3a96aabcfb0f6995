"""Questions to a large store, and the time until the command line answers at all."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from replaytool.store import Store
from replaytool.store import connections as db

_RUNS = 200_000
_EVENTS_EACH = 50


def print_table() -> None:
    """Print how long the two summaries take over ten million events, and `replaytool --help`."""
    print(f"{'what':46} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.duckdb")
        _fill(path)
        store = Store(path)
        for name, sql in (
            ("SELECT * FROM runs LIMIT 100, newest first", "SELECT * FROM runs ORDER BY started_at DESC LIMIT 100"),
            ("SELECT status, count(*) FROM runs", "SELECT status, count(*) FROM runs GROUP BY status"),
            ("SELECT * FROM builds", "SELECT * FROM builds"),
            ("SELECT count(*) FROM events", "SELECT count(*) FROM events"),
        ):
            began = time.perf_counter()
            store.query_rows(sql)
            print(f"{name:46} {time.perf_counter() - began:8.3f}", flush=True)
    print(f"{'replaytool --help (CPU)':46} {_help():8.3f}")


def _help() -> float:
    """The best of some tries: the first one reads files from the disk."""
    command = [sys.executable, "-m", "replaytool", "--help"]
    tries = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=False, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        tries.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(tries)


def _fill(path: Path) -> None:
    with db.connect_for_writing(path) as connection:
        connection.execute(_FILL.format(runs=_RUNS, each=_EVENTS_EACH))


_FILL = """
INSERT INTO run BY NAME
SELECT
    CAST(n AS INTEGER) AS id,
    substr(sha256(CAST(n AS VARCHAR)), 1, 12) AS run_key,
    'temporal' AS engine,
    'default' AS namespace,
    'order-' || n AS workflow_id,
    CAST(uuid() AS VARCHAR) AS run_id,
    'started event' AS run_id_from,
    (['Order', 'Trip', 'Refund', 'Agent'])[n % 4 + 1] AS workflow_type,
    'orders' AS task_queue,
    (['Completed', 'Failed', 'Running', 'TimedOut'])[n % 4 + 1] AS status,
    TIMESTAMP '2026-01-01' + to_seconds(n * 13) AS started_at,
    TIMESTAMP '2026-01-01' + to_seconds(n * 13 + 400) AS closed_at,
    {each} AS event_count,
    {each} * 400 AS history_bytes,
    'v' || n % 40 AS first_build,
    'v' || n % 40 + 1 AS last_build,
    'temporal-python' AS sdk_name,
    '1.35.0' AS sdk_version,
    'runs/' || n || '.json' AS source,
    'temporal-json' AS format,
    sha256('content' || n) AS sha256
FROM range(1, {runs} + 1) AS runs (n);

INSERT INTO event BY NAME
SELECT
    CAST(n AS INTEGER) AS run,
    CAST(e AS INTEGER) AS event_id,
    (['WorkflowTaskScheduled', 'WorkflowTaskStarted', 'WorkflowTaskCompleted', 'ActivityTaskScheduled',
      'ActivityTaskStarted', 'ActivityTaskCompleted'])[e % 6 + 1] AS event_type,
    TIMESTAMP '2026-01-01' + to_seconds(n * 13 + e) AS event_time,
    CASE WHEN e % 6 IN (1, 2, 4) THEN 'v' || n % 40 + e // 30 END AS build_id,
    '{{"eventId":"' || e || '","taskId":"' || n * 100 + e || '"}}' AS raw
FROM range(1, {runs} + 1) AS runs (n), range(1, {each} + 1) AS events (e);

INSERT INTO run_build BY NAME
SELECT
    run,
    build_id,
    'orders' AS deployment_name,
    CAST(count(*) FILTER (event_type = 'WorkflowTaskCompleted') AS INTEGER) AS tasks,
    CAST(count(*) FILTER (event_type = 'ActivityTaskStarted') AS INTEGER) AS activities,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen
FROM event WHERE build_id IS NOT NULL GROUP BY run, build_id;
"""
