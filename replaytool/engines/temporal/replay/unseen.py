"""List what a run's history does not hold, so that no replay can compare it."""

from __future__ import annotations

from replaytool.engines.temporal.events.decoding import event_heads, select_events
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.model.history import Run

_MARKER, _TASK_COMPLETED = "MarkerRecorded", "WorkflowTaskCompleted"
_LOCAL_FIELDS = ("local activity inputs", "local activity time-outs", "local activity retry policies")
_LOCAL_ORDER = "the order in which one task schedules local activities"


def list_unseen_parts(run: Run) -> tuple[str, ...]:
    """Return what this run has done that its history does not record."""
    if all(head.event_type != _MARKER for head in event_heads(run.events)):
        return ()
    most = in_task = 0
    record = RecordedHistory(run)
    for event in select_events(run.events, (_MARKER, _TASK_COMPLETED).__contains__):
        if event.event_type == _TASK_COMPLETED:
            in_task = 0
        elif record.expected_command(event).kind == "local_activity":
            in_task += 1
            most = max(most, in_task)
    if not most:
        return ()
    return (*_LOCAL_FIELDS, _LOCAL_ORDER) if most > 1 else _LOCAL_FIELDS
