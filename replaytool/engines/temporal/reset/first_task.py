"""Read how the first workflow task of a reset run ended, and which build took it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from replaytool.model.reset_server import FirstTask

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent


_ENDS = {
    "workflow_task_completed_event_attributes": "Completed",
    "workflow_task_failed_event_attributes": "Failed",
    "workflow_task_timed_out_event_attributes": "TimedOut",
}


def find_first_task(events: Iterable[HistoryEvent], reset_event: int) -> FirstTask | None:
    """Return the task that decides, or None if no task has ended yet."""
    latest: FirstTask | None = None
    for event in events:
        kind = event.WhichOneof("attributes") or ""
        if event.event_id > reset_event and kind in _ENDS:
            latest = _read_first_task(event, kind, latest.tries + 1 if latest else 1)
            if latest.outcome == "Completed":
                return latest
    return latest


def _read_first_task(event: HistoryEvent, kind: str, tries: int) -> FirstTask:
    found = getattr(event, kind)
    # WorkflowTaskTimedOut has neither of both fields: no worker answered.
    build = found.worker_version.build_id if hasattr(found, "worker_version") else ""
    failure = found.failure.message if hasattr(found, "failure") else ""
    return FirstTask(event.event_id, _ENDS[kind], build or None, failure, tries)
