"""Read what a reset run did since the reset: its first task, what was re-applied, which activities ran again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from replaytool.model.reset_server import FirstTask, ResetRun

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent

_BACK = {
    "workflow_execution_signaled_event_attributes": "signals",
    "workflow_execution_update_admitted_event_attributes": "updates",
    "workflow_execution_options_updated_event_attributes": "options",
}
_SENT = {"workflow_execution_signaled_event_attributes", "workflow_execution_update_accepted_event_attributes"}
_ENDS = {
    "workflow_task_completed_event_attributes": "Completed",
    "workflow_task_failed_event_attributes": "Failed",
    "workflow_task_timed_out_event_attributes": "TimedOut",
}


def read_reset_run(events: Sequence[HistoryEvent], reset_event: int, token: str) -> ResetRun | None:
    """Return what the run did since the reset; None if no reset with this token made it."""
    at_point = next((event for event in events if event.event_id == reset_event), None)
    if not has_reset_token(at_point, token):
        return None
    return ResetRun(
        count_reapplied(events, reset_event),
        _count_started_again(events, reset_event),
        _count_sent_since(events, reset_event),
        find_first_task(events, reset_event),
    )


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


def has_reset_token(event: HistoryEvent | None, token: str) -> bool:
    """Return whether this event is a reset with this token. The official CLI writes a user's name before it."""
    if event is None or not event.HasField("workflow_task_failed_event_attributes"):
        return False
    failed = event.workflow_task_failed_event_attributes
    return bool(failed.new_run_id) and token in failed.failure.message.split()


def count_reapplied(events: Sequence[HistoryEvent], reset_event: int) -> dict[str, int]:
    """Count what was re-applied: all events between the reset and the next workflow task."""
    counts: Counter[str] = Counter()
    for event in events:
        kind = event.WhichOneof("attributes") or ""
        if event.event_id <= reset_event:
            continue
        if kind == "workflow_task_scheduled_event_attributes":
            break
        counts[_BACK.get(kind, "others")] += 1
    return dict(counts)


def _count_started_again(events: Sequence[HistoryEvent], reset_event: int) -> dict[str, int]:
    """Count activities that started after the point, whichever task scheduled them."""
    kinds = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    started = (
        event.activity_task_started_event_attributes.scheduled_event_id
        for event in events
        if event.event_id > reset_event and event.HasField("activity_task_started_event_attributes")
    )
    return dict(sorted(Counter(kinds.get(one, "?") for one in started).items()))


def _count_sent_since(events: Sequence[HistoryEvent], reset_event: int) -> int:
    """Count what was sent after the re-applied part. An update that this part admits is not counted."""
    is_back, admitted, count = True, set(), 0
    for event in events:
        kind = event.WhichOneof("attributes") or ""
        if event.event_id <= reset_event:
            continue
        if kind == "workflow_execution_update_admitted_event_attributes" and is_back:
            admitted.add(event.workflow_execution_update_admitted_event_attributes.request.meta.update_id)
        is_back = is_back and kind != "workflow_task_scheduled_event_attributes"
        if is_back or kind not in _SENT:
            continue
        accepted = event.workflow_execution_update_accepted_event_attributes.protocol_instance_id
        count += kind.startswith("workflow_execution_signaled") or accepted not in admitted
    return count


def count_messages(events: Iterable[HistoryEvent]) -> int:
    """Count the signals and updates of a run."""
    return sum(event.WhichOneof("attributes") in _SENT for event in events)
