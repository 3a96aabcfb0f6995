"""Deployment facts of a run: what it waits for, and which build it is pinned to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from replaytool.model.build_ids import read_build_id, read_versioning_behavior
from replaytool.model.verdict import Subject
from replaytool.store import RunRow, Store

_MOST_WAITS = 3
_IDLE = "a signal, an update or a condition"
_WAITS = """
WITH wanted AS (SELECT unnest(?) AS run_key),
nexus AS (
    SELECT
        run_key, event_type, event_id, raw -> '$.nexusOperationScheduledEventAttributes' AS a,
        TRY_CAST(
            raw ->> ('$.' || lower(event_type[1]) || substr(event_type, 2) || 'EventAttributes.scheduledEventId')
            AS INTEGER
        ) AS scheduled_id
    FROM events JOIN wanted USING (run_key) WHERE event_type LIKE 'NexusOperation%'
)
SELECT run_key, 'a workflow task' AS what FROM wanted JOIN (
    SELECT run_key, arg_max(outcome, scheduled_event_id) AS outcome FROM tasks GROUP BY run_key
) USING (run_key) WHERE outcome <> 'Completed'
UNION SELECT run_key, 'activity ' || activity_type FROM activities JOIN wanted USING (run_key)
    WHERE outcome IN ('Scheduled', 'Started')
UNION SELECT run_key, 'a timer' FROM timers JOIN wanted USING (run_key) WHERE outcome = 'Started'
UNION SELECT run_key, 'child ' || workflow_type FROM children JOIN wanted USING (run_key)
    WHERE outcome IN ('Initiated', 'Started')
UNION SELECT run_key, 'nexus ' || (a ->> '$.operation') FROM nexus AS opened
    WHERE event_type = 'NexusOperationScheduled' AND NOT EXISTS (
        SELECT 1 FROM nexus AS closed WHERE closed.run_key = opened.run_key AND closed.scheduled_id = opened.event_id
        AND closed.event_type IN (
            'NexusOperationCompleted', 'NexusOperationFailed', 'NexusOperationCanceled', 'NexusOperationTimedOut'
        )
    )
ORDER BY ALL
"""
_VERSIONING = """
SELECT
    run_key,
    arg_max(raw ->> '$.workflowTaskCompletedEventAttributes', event_id)
        FILTER (event_type = 'WorkflowTaskCompleted') AS task,
    arg_max(
        coalesce(
            raw ->> '$.workflowExecutionOptionsUpdatedEventAttributes',
            raw ->> '$.workflowExecutionStartedEventAttributes'
        ), event_id
    ) FILTER (event_type <> 'WorkflowTaskCompleted' AND contains(CAST(raw AS VARCHAR), 'ersioningOverride')) AS override
FROM events
WHERE run_key IN (SELECT unnest(?))
    AND event_type IN ('WorkflowTaskCompleted', 'WorkflowExecutionOptionsUpdated', 'WorkflowExecutionStarted')
GROUP BY run_key
"""


def load_subjects(store: Store, rows: Sequence[RunRow]) -> dict[str, Subject]:
    """Return a `Subject` for each run, by run key."""
    if not rows:
        return {}
    # A closed run waits for nothing, even if activities are open where its history ends.
    waits = _load_waits(store, [row.run_key for row in rows if row.status == "Running"])
    pins = _load_pinned_builds(store, [row.run_key for row in rows])
    return {row.run_key: _build_subject(row, waits.get(row.run_key, ""), pins.get(row.run_key)) for row in rows}


def _build_subject(row: RunRow, waits_for: str, pinned_to: str | None) -> Subject:
    return Subject(
        row.run_key, row.source, row.workflow_id, row.run_id, row.workflow_type, row.event_count,
        f"{row.started_at.isoformat(timespec='microseconds')}Z" if row.started_at else None,
        row.status, waits_for, pinned_to,
    )  # fmt: skip


def _load_waits(store: Store, run_keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {key: [] for key in run_keys}
    for row in store.query_rows(_WAITS, [list(run_keys)]) if run_keys else ():
        found[row["run_key"]].append(row["what"])
    return {key: _describe_waits(whats) for key, whats in found.items()}


def _describe_waits(whats: Sequence[str]) -> str:
    """Name at most three waits: a run that waits for more would get a group of its own anyway."""
    more = " and more" if len(whats) > _MOST_WAITS else ""
    return " and ".join(whats[:_MOST_WAITS]) + more if whats else _IDLE


def _load_pinned_builds(store: Store, run_keys: Sequence[str]) -> dict[str, str]:
    rows = store.query_rows(_VERSIONING, [list(run_keys)])
    builds = {
        row["run_key"]: find_pinned_build(_parse_object(row["task"]), _parse_object(row["override"])) for row in rows
    }
    return {key: build for key, build in builds.items() if build is not None}


def _parse_object(text: str | None) -> Mapping[str, object]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def find_pinned_build(task: Mapping[str, object], override: Mapping[str, object]) -> str | None:
    """Return the build that a run is pinned to, by its last completed task and its last override.

    A run with an override counts as not pinned: somebody moves it between builds, so it may meet any code.
    """
    if override.get("versioningOverride") and not override.get("unsetVersioningOverride"):
        return None
    return read_build_id(task) if read_versioning_behavior(task) == "PINNED" else None
