"""Read from a run's events what matters to a reset, in one pass."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.labels import Attributes, decode_attributes, parse_event_id
from replaytool.engines.temporal.events.payloads import is_payload, payload_from_json, read_plain_value
from replaytool.model.build_ids import read_deployment_name, read_pinned_version, read_versioning_behavior
from replaytool.model.history import Event, Payload
from replaytool.model.run_facts import (
    NamedEvent,
    ResetEvent,
    RunActivity,
    RunChild,
    RunFacts,
    RunTask,
    RunUpdate,
    VersionOverride,
)
from replaytool.model.token_usage import TokenUsage, find_token_usage

# The server's identity in WorkflowExecutionTerminated, if it ended the run because of a reset.
RESETTER = "history-resetter"
# To decode a large result costs more than to look for this part of `usage`, `usageMetadata` and `usage_metadata`.
_SAYS_USAGE = b"usage"


def read_run_facts(row: Mapping[str, Any], events: Iterable[Event], problems: tuple[str, ...] = ()) -> RunFacts:
    """Read the facts of the run in this row of the `runs` view."""
    made = RunFacts(
        run_key=row["run_key"],
        workflow_id=row["workflow_id"],
        run_id=row["run_id"],
        workflow_type=row["workflow_type"],
        task_queue=row["task_queue"],
        status=row["status"],
        engine=row["engine"],
        namespace=row["namespace"],
        first_run_id=row["first_run_id"],
        continued_run_id=row["continued_run_id"],
        parent_workflow_id=row["parent_workflow_id"],
        problems=problems,
    )
    for event in events:
        made.born_at = made.born_at or event.event_time or ""
        made.last_event_id = event.event_id
        reader = _find_reader(event.event_type)
        if reader is not None:
            reader(made, event, decode_attributes(event))
    return made


Reader = Callable[[RunFacts, Event, Attributes], None]


def _find_reader(event_type: str) -> Reader | None:
    if event_type in types.FINAL_EVENTS:
        return _read_closed_run
    if event_type in READERS:
        return READERS[event_type]
    if event_type.startswith(types.CHILD):
        return _read_child_event
    return _read_nexus_event if event_type.startswith(types.NEXUS) else None


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text_at(value: object, *keys: str) -> str:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return _as_text(value)


def _read_start(made: RunFacts, event: Event, found: Attributes) -> None:
    if isinstance(found.get("versioningOverride"), dict):
        made.overrides.append(read_override(event.event_id, found["versioningOverride"]))


def _read_completed_task(made: RunFacts, event: Event, found: Attributes) -> None:
    deployment, behavior = read_deployment_name(found), read_versioning_behavior(found)
    made.tasks.append(RunTask(event.event_id, event.event_time, event.build_id, deployment, behavior))


def _read_failed_task(made: RunFacts, event: Event, found: Attributes) -> None:
    if not (new := _as_text(found.get("newRunId"))):
        return
    reason = _text_at(found, "failure", "message")
    made.resets.append(ResetEvent(event.event_id, _as_text(found.get("baseRunId")), new, reason, event.event_time))
    if new == made.run_id:
        made.born_at = event.event_time or made.born_at


def _read_activity_scheduled(made: RunFacts, event: Event, found: Attributes) -> None:
    kind = _text_at(found, "activityType", "name")
    task = parse_event_id(found.get("workflowTaskCompletedEventId"))
    made.activities[event.event_id] = RunActivity(kind, task, event.event_id, asked=found.get("input"))


def _read_activity_started(made: RunFacts, event: Event, found: Attributes) -> None:
    if activity := made.activities.get(parse_event_id(found.get("scheduledEventId"))):
        activity.started, activity.build_id, activity.started_at = event.event_id, event.build_id, event.event_time


def _read_activity_closed(made: RunFacts, event: Event, found: Attributes) -> None:
    if activity := made.activities.get(parse_event_id(found.get("scheduledEventId"))):
        activity.closed = event.event_id
        activity.spent, activity.asked = _read_spent_tokens(found.get("result"), activity.asked), None


def _read_spent_tokens(result: object, asked: object) -> list[TokenUsage]:
    """Return the tokens that a result reports; an encrypted result reports none."""
    values = [read_plain_value(one) for one in _list_payloads(result) if _SAYS_USAGE in one.data]
    inputs = [read_plain_value(one) for one in _list_payloads(asked)] if values else []
    return [one for value in values for one in find_token_usage(value, inputs)]


def _list_payloads(found: object) -> list[Payload]:
    listed = found.get("payloads") if isinstance(found, dict) else None
    return [payload_from_json(one) for one in listed if is_payload(one)] if isinstance(listed, list) else []


def _read_marker(made: RunFacts, event: Event, found: Attributes) -> None:
    if found.get("markerName") == "core_local_activity":
        details = found.get("details")
        result = details.get("result") if isinstance(details, dict) else None
        made.locals.append(NamedEvent(event.event_id, _read_local_type(found), spent=_read_spent_tokens(result, None)))


def _read_local_type(found: Attributes) -> str:
    """Return the type of a local activity, which sdk-core keeps in a payload of its own."""
    try:
        data = found["details"]["data"]["payloads"][0]["data"]
        return str(json.loads(base64.b64decode(data))["activity_type"])
    except (KeyError, IndexError, TypeError, ValueError):
        return "a local activity"


def _read_signal(made: RunFacts, event: Event, found: Attributes) -> None:
    made.signals.append(NamedEvent(event.event_id, _as_text(found.get("signalName"))))


def _read_update_admitted(made: RunFacts, event: Event, found: Attributes) -> None:
    request = found.get("request")
    known = _text_at(request, "meta", "updateId") or f"event {event.event_id}"
    made.updates.setdefault(known, RunUpdate(known, _text_at(request, "input", "name"), event.event_id))


def _read_update_accepted(made: RunFacts, event: Event, found: Attributes) -> None:
    known = _as_text(found.get("protocolInstanceId")) or f"event {event.event_id}"
    made.updates.setdefault(
        known, RunUpdate(known, _text_at(found, "acceptedRequest", "input", "name"), event.event_id)
    )


def _read_update_completed(made: RunFacts, event: Event, found: Attributes) -> None:
    if update := made.updates.get(_text_at(found, "meta", "updateId")):
        update.completed = event.event_id


def read_override(event_id: int, found: Attributes) -> VersionOverride:
    """Read the override in any spelling that servers have used."""
    return VersionOverride(event_id, *read_pinned_version(found))


def _read_options_updated(made: RunFacts, event: Event, found: Attributes) -> None:
    if found.get("unsetVersioningOverride"):
        made.overrides.append(VersionOverride(event.event_id, None, None, removed=True))
    elif isinstance(found.get("versioningOverride"), dict):
        made.overrides.append(read_override(event.event_id, found["versioningOverride"]))


def _read_child_initiated(made: RunFacts, event: Event, found: Attributes) -> None:
    made.children[event.event_id] = RunChild(
        _as_text(found.get("workflowId")),
        _text_at(found, "workflowType", "name"),
        event.event_id,
        _as_text(found.get("workflowIdReusePolicy")).removeprefix("WORKFLOW_ID_REUSE_POLICY_"),
        _as_text(found.get("parentClosePolicy")).removeprefix("PARENT_CLOSE_POLICY_"),
    )


def _read_child_event(made: RunFacts, event: Event, found: Attributes) -> None:
    child = made.children.get(parse_event_id(found.get("initiatedEventId")))
    made.child_events.append(
        NamedEvent(event.event_id, event.event_type, parse_event_id(found.get("initiatedEventId")))
    )
    if child is None:
        return
    if event.event_type == types.CHILD_STARTED:
        child.started, child.run_id = event.event_id, _text_at(found, "workflowExecution", "runId")
    else:
        child.closed, child.outcome = event.event_id, event.event_type.removeprefix(types.CHILD)


def _read_child_not_started(made: RunFacts, event: Event, found: Attributes) -> None:
    _read_child_event(made, event, found)
    if child := made.children.get(parse_event_id(found.get("initiatedEventId"))):
        child.outcome = "StartFailed"


def _read_external(made: RunFacts, event: Event, found: Attributes) -> None:
    what = "signal" if event.event_type.startswith("Signal") else "cancel request"
    made.externals.append(NamedEvent(event.event_id, f"{what} to {_text_at(found, 'workflowExecution', 'workflowId')}"))


def _read_nexus_event(made: RunFacts, event: Event, found: Attributes) -> None:
    if event.event_type == types.NEXUS_SCHEDULED:
        made.nexus[event.event_id] = NamedEvent(event.event_id, _as_text(found.get("operation")))
        return
    operation = made.nexus.get(parse_event_id(found.get("scheduledEventId")))
    if operation and event.event_type in types.MOVES and types.MOVES[event.event_type].closes:
        operation.closed = event.event_id


def _read_cancel_requested(made: RunFacts, event: Event, found: Attributes) -> None:
    made.cancels.append(NamedEvent(event.event_id, _as_text(found.get("cause"))))


def _read_closed_run(made: RunFacts, event: Event, found: Attributes) -> None:
    made.closed_at = event.event_time
    made.next_run_id = _as_text(found.get("newExecutionRunId")) or None
    made.terminated_by_reset = found.get("identity") == RESETTER


READERS: dict[str, Reader] = {
    types.STARTED: _read_start,
    types.TASK_COMPLETED: _read_completed_task,
    types.TASK_FAILED: _read_failed_task,
    types.ACTIVITY_SCHEDULED: _read_activity_scheduled,
    types.ACTIVITY_STARTED: _read_activity_started,
    **{f"{types.ACTIVITY}{end}": _read_activity_closed for end in types.ENDINGS},
    types.MARKER: _read_marker,
    types.SIGNALED: _read_signal,
    types.ADMITTED: _read_update_admitted,
    types.ACCEPTED: _read_update_accepted,
    types.UPDATE_COMPLETED: _read_update_completed,
    types.OPTIONS_UPDATED: _read_options_updated,
    types.CHILD_INITIATED: _read_child_initiated,
    types.CHILD_START_FAILED: _read_child_not_started,
    types.SIGNAL_INITIATED: _read_external,
    types.CANCEL_INITIATED: _read_external,
    types.CANCEL_REQUESTED: _read_cancel_requested,
}
