"""What a history says that matters to a reset, read off the events in one pass."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from replaytool.engines.temporal.events.labels import attributes
from replaytool.engines.temporal.events.payloads import from_json, is_payload, plain_value
from replaytool.model.history import Event, Payload
from replaytool.model.token_usage import Usage, usages


@dataclass(slots=True)
class Task:
    """A completed workflow task: what a run can be reset to."""

    event_id: int
    at: str | None
    build_id: str | None
    deployment: str | None
    behavior: str | None
    """PINNED, AUTO_UPGRADE, or nothing where the worker is not versioned."""


@dataclass(slots=True)
class Activity:
    """An activity, from the task that asked for it to its end."""

    type: str
    task_id: int
    """The workflow task that scheduled it."""
    scheduled: int
    started: int | None = None
    closed: int | None = None
    build_id: str | None = None
    """The build that ran it."""
    started_at: str | None = None
    asked: Any = None
    """Its input as the event has it, until it is closed."""
    spent: list[Usage] = field(default_factory=list)
    """What its result says that models spent."""


@dataclass(slots=True)
class Update:
    """An update, by whichever events a history has of it."""

    id: str
    name: str
    event_id: int
    completed: int | None = None


@dataclass(slots=True)
class Child:
    """A child workflow, as its parent sees it."""

    workflow_id: str
    type: str
    initiated: int
    reuse_policy: str
    close_policy: str
    run_id: str | None = None
    started: int | None = None
    closed: int | None = None
    outcome: str = "Running"


@dataclass(slots=True)
class Named:
    """An event of which only place and name matter: a signal, a cancel request, a local activity."""

    event_id: int
    name: str = ""
    closed: int | None = None
    spent: list[Usage] = field(default_factory=list)


@dataclass(slots=True)
class Override:
    """A versioning override: which version it pins to, or none where it lets the run go with the others."""

    event_id: int
    deployment: str | None
    build_id: str | None
    removed: bool = False


@dataclass(slots=True)
class ResetEvent:
    """Where this run was forked from another one."""

    event_id: int
    base_run_id: str
    new_run_id: str
    reason: str
    at: str | None


@dataclass(slots=True)
class Record:
    """One run."""

    run_key: str
    workflow_id: str | None
    run_id: str | None
    workflow_type: str
    task_queue: str | None
    status: str
    namespace: str | None = None
    first_run_id: str | None = None
    continued_run_id: str | None = None
    parent_workflow_id: str | None = None
    problems: tuple[str, ...] = ()
    born_at: str = ""
    """When this run came to be: a reset run's first events are older than the run."""
    last_event_id: int = 0
    closed_at: str | None = None
    next_run_id: str | None = None
    """The run that this one handed over to: continued as new, retried, or by its cron schedule."""
    terminated_by_reset: bool = False
    tasks: list[Task] = field(default_factory=list)
    activities: dict[int, Activity] = field(default_factory=dict)
    locals: list[Named] = field(default_factory=list)
    signals: list[Named] = field(default_factory=list)
    updates: dict[str, Update] = field(default_factory=dict)
    overrides: list[Override] = field(default_factory=list)
    children: dict[int, Child] = field(default_factory=dict)
    child_events: list[Named] = field(default_factory=list)
    externals: list[Named] = field(default_factory=list)
    nexus: dict[int, Named] = field(default_factory=dict)
    cancels: list[Named] = field(default_factory=list)
    resets: list[ResetEvent] = field(default_factory=list)

    @property
    def reset_from(self) -> str | None:
        """The base of the reset that made this run."""
        return next((one.base_run_id for one in reversed(self.resets) if one.new_run_id == self.run_id), None)


_CLOSING = {
    "WorkflowExecutionCompleted", "WorkflowExecutionFailed", "WorkflowExecutionTimedOut", "WorkflowExecutionCanceled",
    "WorkflowExecutionTerminated", "WorkflowExecutionContinuedAsNew",
}  # fmt: skip
_NEXUS_ENDS = {"Completed", "Failed", "Canceled", "TimedOut"}
RESETTER = "history-resetter"
# Reading a large result costs more than looking for this: `usage`, `usageMetadata` and `usage_metadata` have it.
_SAYS_USAGE = b"usage"


def record(row: Mapping[str, Any], events: Iterable[Event], problems: tuple[str, ...] = ()) -> Record:
    """The record of the run that this row of the `runs` view is about."""
    made = Record(
        run_key=row["run_key"],
        workflow_id=row["workflow_id"],
        run_id=row["run_id"],
        workflow_type=row["workflow_type"],
        task_queue=row["task_queue"],
        status=row["status"],
        namespace=row["namespace"],
        first_run_id=row["first_run_id"],
        continued_run_id=row["continued_run_id"],
        parent_workflow_id=row["parent_workflow_id"],
        problems=problems,
    )
    for event in events:
        made.born_at = made.born_at or event.event_time or ""
        made.last_event_id = event.event_id
        reader = _reader(event.event_type)
        if reader is not None:
            reader(made, event, attributes(msgspec.json.decode(event.raw)))
    return made


Reader = Callable[[Record, Event, dict[str, Any]], None]


def _reader(event_type: str) -> Reader | None:
    if event_type in _CLOSING:
        return _closed
    if event_type in READERS:
        return READERS[event_type]
    if event_type.startswith("ChildWorkflowExecution"):
        return _child_event
    return _nexus_event if event_type.startswith("NexusOperation") else None


def number(value: object) -> int:
    """An event id as JSON has it: text, a number, or nothing."""
    return int(value) if isinstance(value, str | int) and str(value).isdigit() else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _inner(value: object, *keys: str) -> str:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return _text(value)


def _started(made: Record, event: Event, found: dict[str, Any]) -> None:
    if isinstance(found.get("versioningOverride"), dict):
        made.overrides.append(override(event.event_id, found["versioningOverride"]))


def _task(made: Record, event: Event, found: dict[str, Any]) -> None:
    deployment = _text(found.get("workerDeploymentName")) or _inner(found, "deploymentVersion", "deploymentName")
    behavior = _text(found.get("versioningBehavior")).removeprefix("VERSIONING_BEHAVIOR_")
    made.tasks.append(
        Task(event.event_id, event.event_time, event.build_id, deployment or None, behavior.replace("UNSPECIFIED", ""))
    )


def _task_failed(made: Record, event: Event, found: dict[str, Any]) -> None:
    if not (new := _text(found.get("newRunId"))):
        return
    reason = _inner(found, "failure", "message")
    made.resets.append(ResetEvent(event.event_id, _text(found.get("baseRunId")), new, reason, event.event_time))
    if new == made.run_id:
        made.born_at = event.event_time or made.born_at


def _activity_scheduled(made: Record, event: Event, found: dict[str, Any]) -> None:
    kind = _inner(found, "activityType", "name")
    task = number(found.get("workflowTaskCompletedEventId"))
    made.activities[event.event_id] = Activity(kind, task, event.event_id, asked=found.get("input"))


def _activity_started(made: Record, event: Event, found: dict[str, Any]) -> None:
    if activity := made.activities.get(number(found.get("scheduledEventId"))):
        activity.started, activity.build_id, activity.started_at = event.event_id, event.build_id, event.event_time


def _activity_closed(made: Record, event: Event, found: dict[str, Any]) -> None:
    if activity := made.activities.get(number(found.get("scheduledEventId"))):
        activity.closed = event.event_id
        activity.spent, activity.asked = _spent(found.get("result"), activity.asked), None


def _spent(result: Any, asked: Any) -> list[Usage]:
    """What the result tells of tokens; one that is encrypted tells nothing."""
    values = [plain_value(one) for one in _payloads(result) if _SAYS_USAGE in one.data]
    inputs = [plain_value(one) for one in _payloads(asked)] if values else []
    return [one for value in values for one in usages(value, inputs)]


def _payloads(found: Any) -> list[Payload]:
    listed = found.get("payloads") if isinstance(found, dict) else None
    return [from_json(one) for one in listed if is_payload(one)] if isinstance(listed, list) else []


def _marker(made: Record, event: Event, found: dict[str, Any]) -> None:
    if found.get("markerName") == "core_local_activity":
        details = found.get("details")
        result = details.get("result") if isinstance(details, dict) else None
        made.locals.append(Named(event.event_id, _local_type(found), spent=_spent(result, None)))


def _local_type(found: dict[str, Any]) -> str:
    """The type of a local activity, which the SDK keeps in a payload of its own."""
    try:
        data = found["details"]["data"]["payloads"][0]["data"]
        return str(json.loads(base64.b64decode(data))["activity_type"])
    except (KeyError, IndexError, TypeError, ValueError):
        return "a local activity"


def _signal(made: Record, event: Event, found: dict[str, Any]) -> None:
    made.signals.append(Named(event.event_id, _text(found.get("signalName"))))


def _update_admitted(made: Record, event: Event, found: dict[str, Any]) -> None:
    request = found.get("request")
    known = _inner(request, "meta", "updateId") or f"event {event.event_id}"
    made.updates.setdefault(known, Update(known, _inner(request, "input", "name"), event.event_id))


def _update_accepted(made: Record, event: Event, found: dict[str, Any]) -> None:
    known = _text(found.get("protocolInstanceId")) or f"event {event.event_id}"
    made.updates.setdefault(known, Update(known, _inner(found, "acceptedRequest", "input", "name"), event.event_id))


def _update_completed(made: Record, event: Event, found: dict[str, Any]) -> None:
    if update := made.updates.get(_inner(found, "meta", "updateId")):
        update.completed = event.event_id


def override(event_id: int, found: Mapping[str, Any]) -> Override:
    """The override in any of the spellings that servers have had for it."""
    pinned = found.get("pinned")
    version = pinned.get("version") if isinstance(pinned, dict) else found.get("deployment")
    if isinstance(version, dict):
        named = version.get("deploymentName") or version.get("seriesName")
        return Override(event_id, _text(named) or None, _text(version.get("buildId")) or None)
    if old := _text(found.get("pinnedVersion")):
        name, _, build = old.rpartition("." if "." in old else ":")
        return Override(event_id, name or None, build)
    return Override(event_id, None, None)


def _options_updated(made: Record, event: Event, found: dict[str, Any]) -> None:
    if found.get("unsetVersioningOverride"):
        made.overrides.append(Override(event.event_id, None, None, removed=True))
    elif isinstance(found.get("versioningOverride"), dict):
        made.overrides.append(override(event.event_id, found["versioningOverride"]))


def _child_initiated(made: Record, event: Event, found: dict[str, Any]) -> None:
    made.children[event.event_id] = Child(
        _text(found.get("workflowId")),
        _inner(found, "workflowType", "name"),
        event.event_id,
        _text(found.get("workflowIdReusePolicy")).removeprefix("WORKFLOW_ID_REUSE_POLICY_"),
        _text(found.get("parentClosePolicy")).removeprefix("PARENT_CLOSE_POLICY_"),
    )


def _child_event(made: Record, event: Event, found: dict[str, Any]) -> None:
    child = made.children.get(number(found.get("initiatedEventId")))
    made.child_events.append(Named(event.event_id, event.event_type, number(found.get("initiatedEventId"))))
    if child is None:
        return
    if event.event_type == "ChildWorkflowExecutionStarted":
        child.started, child.run_id = event.event_id, _inner(found, "workflowExecution", "runId")
    else:
        child.closed, child.outcome = event.event_id, event.event_type.removeprefix("ChildWorkflowExecution")


def _child_not_started(made: Record, event: Event, found: dict[str, Any]) -> None:
    _child_event(made, event, found)
    if child := made.children.get(number(found.get("initiatedEventId"))):
        child.outcome = "StartFailed"


def _external(made: Record, event: Event, found: dict[str, Any]) -> None:
    what = "signal" if event.event_type.startswith("Signal") else "cancel request"
    made.externals.append(Named(event.event_id, f"{what} to {_inner(found, 'workflowExecution', 'workflowId')}"))


def _nexus_event(made: Record, event: Event, found: dict[str, Any]) -> None:
    if event.event_type == "NexusOperationScheduled":
        made.nexus[event.event_id] = Named(event.event_id, _text(found.get("operation")))
        return
    operation = made.nexus.get(number(found.get("scheduledEventId")))
    if operation and event.event_type.removeprefix("NexusOperation") in _NEXUS_ENDS:
        operation.closed = event.event_id


def _cancel_requested(made: Record, event: Event, found: dict[str, Any]) -> None:
    made.cancels.append(Named(event.event_id, _text(found.get("cause"))))


def _closed(made: Record, event: Event, found: dict[str, Any]) -> None:
    made.closed_at = event.event_time
    made.next_run_id = _text(found.get("newExecutionRunId")) or None
    made.terminated_by_reset = found.get("identity") == RESETTER


READERS: dict[str, Reader] = {
    "WorkflowExecutionStarted": _started,
    "WorkflowTaskCompleted": _task,
    "WorkflowTaskFailed": _task_failed,
    "ActivityTaskScheduled": _activity_scheduled,
    "ActivityTaskStarted": _activity_started,
    "ActivityTaskCompleted": _activity_closed,
    "ActivityTaskFailed": _activity_closed,
    "ActivityTaskTimedOut": _activity_closed,
    "ActivityTaskCanceled": _activity_closed,
    "MarkerRecorded": _marker,
    "WorkflowExecutionSignaled": _signal,
    "WorkflowExecutionUpdateAdmitted": _update_admitted,
    "WorkflowExecutionUpdateAccepted": _update_accepted,
    "WorkflowExecutionUpdateCompleted": _update_completed,
    "WorkflowExecutionOptionsUpdated": _options_updated,
    "StartChildWorkflowExecutionInitiated": _child_initiated,
    "StartChildWorkflowExecutionFailed": _child_not_started,
    "SignalExternalWorkflowExecutionInitiated": _external,
    "RequestCancelExternalWorkflowExecutionInitiated": _external,
    "WorkflowExecutionCancelRequested": _cancel_requested,
}
