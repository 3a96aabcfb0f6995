"""The one place with tables of Temporal's event names, as the SQL views spell them.

To read a new kind of event, add it to the tables that it belongs in. `decoding.RECORDS` has the fields of each.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from replaytool.model.event_role import EventKind, EventRole

STARTED, UPSERTED = "WorkflowExecutionStarted", "UpsertWorkflowSearchAttributes"
SIGNALED, CANCEL_REQUESTED = "WorkflowExecutionSignaled", "WorkflowExecutionCancelRequested"
ADMITTED, ACCEPTED = "WorkflowExecutionUpdateAdmitted", "WorkflowExecutionUpdateAccepted"
UPDATE_COMPLETED, OPTIONS_UPDATED = "WorkflowExecutionUpdateCompleted", "WorkflowExecutionOptionsUpdated"
TASK_SCHEDULED, TASK_STARTED = "WorkflowTaskScheduled", "WorkflowTaskStarted"
TASK_COMPLETED, TASK_FAILED, TASK_TIMED_OUT = "WorkflowTaskCompleted", "WorkflowTaskFailed", "WorkflowTaskTimedOut"
ACTIVITY_SCHEDULED, ACTIVITY_CANCEL_REQUESTED = "ActivityTaskScheduled", "ActivityTaskCancelRequested"
ACTIVITY_STARTED, ACTIVITY_FAILED = "ActivityTaskStarted", "ActivityTaskFailed"
TIMER_STARTED, TIMER_FIRED, TIMER_CANCELED = "TimerStarted", "TimerFired", "TimerCanceled"
MARKER = "MarkerRecorded"
CHILD_INITIATED, CHILD_START_FAILED = "StartChildWorkflowExecutionInitiated", "StartChildWorkflowExecutionFailed"
CHILD_STARTED = "ChildWorkflowExecutionStarted"
SIGNAL_INITIATED = "SignalExternalWorkflowExecutionInitiated"
CANCEL_INITIATED = "RequestCancelExternalWorkflowExecutionInitiated"
NEXUS_SCHEDULED, NEXUS_CANCEL_REQUESTED = "NexusOperationScheduled", "NexusOperationCancelRequested"

# What the types of related events begin or end with.
TASK, ACTIVITY, UPDATE = "WorkflowTask", "ActivityTask", "WorkflowExecutionUpdate"
CHILD, NEXUS = "ChildWorkflowExecution", "NexusOperation"
ENDINGS = ("Completed", "Failed", "TimedOut", "Canceled", "Terminated")

CLOSING_STATUS = {
    "WorkflowExecutionCompleted": "Completed",
    "WorkflowExecutionFailed": "Failed",
    "WorkflowExecutionTimedOut": "TimedOut",
    "WorkflowExecutionCanceled": "Canceled",
    "WorkflowExecutionTerminated": "Terminated",
    "WorkflowExecutionContinuedAsNew": "ContinuedAsNew",
}
"""The status of a run after the event that closes it."""
FINAL_EVENTS = frozenset(CLOSING_STATUS)
# sdk-core pops the front of its command queue for each of these. Terminated and TimedOut close a run too, but the
# server alone decides on them, so they match no command.
COMMAND_EVENTS = frozenset(
    [
        ACTIVITY_SCHEDULED, ACTIVITY_CANCEL_REQUESTED, MARKER, TIMER_STARTED, TIMER_CANCELED, CHILD_INITIATED,
        SIGNAL_INITIATED, CANCEL_INITIATED, UPSERTED, "WorkflowPropertiesModified", NEXUS_SCHEDULED,
        NEXUS_CANCEL_REQUESTED, "WorkflowExecutionCompleted", "WorkflowExecutionFailed", "WorkflowExecutionCanceled",
        "WorkflowExecutionContinuedAsNew", ACCEPTED, UPDATE_COMPLETED, "WorkflowExecutionUpdateRejected",
    ]
)  # fmt: skip
"""Events that record a command or an answer of the code."""
BOOKKEEPING = frozenset({TASK_SCHEDULED, TASK_STARTED, TASK_COMPLETED, ACTIVITY_STARTED})
"""Events that any two runs have, whatever they do."""
NEVER_SHOWN = (TASK, ACTIVITY_STARTED, OPTIONS_UPDATED)
"""The code never sees events that begin like this."""
# Without cancel requests: a reset drops these, whatever the request excludes (measured on server 1.32).
REAPPLIED = frozenset({SIGNALED, ADMITTED, ACCEPTED, OPTIONS_UPDATED})
"""The server re-applies these after a reset. An accepted update is re-applied as an admitted one."""
RECEIVED = {SIGNALED: "signal", CANCEL_REQUESTED: "cancel"}
PROPERTIES = (STARTED, UPSERTED, "WorkflowPropertiesModified")
"""Events that set search attributes or the memo."""


class Opening(NamedTuple):
    """An event that begins a wait."""

    kind: str
    key: str
    """The attribute with the engine's name for it."""
    status: str


OPENS = {
    ACTIVITY_SCHEDULED: Opening("activity", "activityId", "Scheduled"),
    TIMER_STARTED: Opening("timer", "timerId", "Started"),
    CHILD_INITIATED: Opening("child", "workflowId", "Initiated"),
    NEXUS_SCHEDULED: Opening("nexus", "endpoint", "Scheduled"),
    SIGNAL_INITIATED: Opening("signal-out", "signalName", "Initiated"),
    CANCEL_INITIATED: Opening("cancel-out", "workflowExecution", "Initiated"),
}


class Move(NamedTuple):
    """An event that changes the status of a wait."""

    key: Literal["scheduledEventId", "startedEventId", "initiatedEventId"]
    """The attribute with the ID of the event that began the wait."""
    status: str
    closes: bool = True


_SCHEDULED: Literal["scheduledEventId"] = "scheduledEventId"
_INITIATED: Literal["initiatedEventId"] = "initiatedEventId"
MOVES = {
    ACTIVITY_STARTED: Move(_SCHEDULED, "Started", closes=False),
    ACTIVITY_CANCEL_REQUESTED: Move(_SCHEDULED, "CancelRequested", closes=False),
    **{f"{ACTIVITY}{end}": Move(_SCHEDULED, end) for end in ("Completed", "Failed", "TimedOut", "Canceled")},
    TIMER_FIRED: Move("startedEventId", "Fired"),
    TIMER_CANCELED: Move("startedEventId", "Canceled"),
    CHILD_STARTED: Move(_INITIATED, "Started", closes=False),
    **{f"{CHILD}{end}": Move(_INITIATED, end) for end in ENDINGS},
    CHILD_START_FAILED: Move(_INITIATED, "StartFailed"),
    "NexusOperationStarted": Move(_SCHEDULED, "Started", closes=False),
    NEXUS_CANCEL_REQUESTED: Move(_SCHEDULED, "CancelRequested", closes=False),
    **{f"{NEXUS}{end}": Move(_SCHEDULED, end) for end in ("Completed", "Failed", "Canceled", "TimedOut")},
    "ExternalWorkflowExecutionSignaled": Move(_INITIATED, "Delivered"),
    "SignalExternalWorkflowExecutionFailed": Move(_INITIATED, "Failed"),
    "ExternalWorkflowExecutionCancelRequested": Move(_INITIATED, "Delivered"),
    "RequestCancelExternalWorkflowExecutionFailed": Move(_INITIATED, "Failed"),
}

NEVER_NEEDED_BY_RESETS = (
    "WorkflowTaskScheduled",
    "WorkflowTaskStarted",
    "WorkflowTaskTimedOut",
    "TimerStarted",
    "TimerFired",
)
"""Nothing that a reset depends on stands in these events."""

_FAILURES = ("Failed", "TimedOut", "Terminated")
_KINDS_BY_START: tuple[tuple[str, EventKind], ...] = (
    (TASK_SCHEDULED, "task"),
    (TASK_STARTED, "task"),
    (TASK, "step"),
    (STARTED, "start"),
    (SIGNALED, "received"),
    (UPDATE, "received"),
    (CANCEL_REQUESTED, "received"),
    ("WorkflowExecutionCompleted", "end"),
    ("WorkflowExecutionContinuedAsNew", "end"),
    (MARKER, "marker"),
    (ACTIVITY_STARTED, "attempt"),
    (TIMER_STARTED, "request"),
)
_KINDS_BY_END: tuple[tuple[str, EventKind], ...] = (
    ("Scheduled", "request"),
    ("Initiated", "request"),
    ("Requested", "request"),
    ("Completed", "answer"),
    ("Fired", "answer"),
)


@lru_cache(maxsize=512)
def classify_event(event_type: str) -> EventRole:
    """Return the role of events of this type; types that are newer than these tables get one by their name."""
    kinds = (
        *(kind for start, kind in _KINDS_BY_START if event_type.startswith(start)),
        *(kind for end, kind in _KINDS_BY_END if event_type.endswith(end)),
    )
    return EventRole(next(iter(kinds), "other"), event_type.endswith(_FAILURES))
