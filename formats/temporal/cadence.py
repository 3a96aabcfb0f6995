"""Recognize histories of Cadence, which Temporal began from: their JSON is nearly the same."""

from __future__ import annotations

from replaytool.formats.unsupported import unsupported_error

_CADENCE_KEYS = {
    "executionStartToCloseTimeoutSeconds",
    "taskStartToCloseTimeoutSeconds",
    "execution_start_to_close_timeout",
    "task_start_to_close_timeout",
}


def refuse_cadence(event: dict[str, object]) -> None:
    """Raise Unreadable for a Cadence history. Only the timeouts of the first event tell it from Temporal before 1.0."""
    event_id = event.get("eventId", event.get("event_id"))
    if event_id not in (1, "1"):
        return
    started = event.get("workflowExecutionStartedEventAttributes") or event.get(
        "workflow_execution_started_event_attributes"
    )
    kind = str(event.get("eventType", event.get("event_type", "")))
    if isinstance(started, dict) and started.keys() & _CADENCE_KEYS and not kind.lower().startswith("event"):
        raise unsupported_error("Cadence")
