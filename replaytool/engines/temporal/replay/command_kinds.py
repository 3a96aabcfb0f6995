"""What a workflow can ask Temporal for: one row for each kind of command, its event, and the fields they share.

Adding a kind is one row in KINDS. `event` and `variant` name the two halves, `rows` says for each field what it is
called in the event's JSON and in the command's proto, and how either is read. `identity` are the fields in which a
worker itself tells one command from another; a difference in any other field is drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import ParentClosePolicy, WorkflowIdReusePolicy

from replaytool.engines.temporal.replay import command_fields as values
from replaytool.engines.temporal.replay.command_fields import Reader


@dataclass(frozen=True, slots=True)
class Row:
    """One field of a kind."""

    key: str
    attribute: str
    reader: Reader


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of command."""

    kind: str
    event: str
    variant: str
    rows: tuple[Row, ...] = ()
    identity: tuple[str, ...] = ()
    name: str = ""
    """The field that a person would call it by."""
    words: str = ""
    """What it is in a sentence."""


def _row(key: str, attribute: str, reader: Reader = values.TEXT) -> Row:
    return Row(key, attribute, reader)


_CLOSE = values.enum_reader(ParentClosePolicy, "PARENT_CLOSE_POLICY_TERMINATE")
_REUSE = values.enum_reader(WorkflowIdReusePolicy, "WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE")

_ACTIVITY = (
    _row("activityId", "activity_id"),
    _row("activityType", "activity_type", values.NAMED),
    _row("taskQueue", "task_queue", values.NAMED),
    _row("header", "headers", values.PAYLOAD_MAP),
    _row("input", "arguments", values.PAYLOADS),
    _row("scheduleToCloseTimeout", "schedule_to_close_timeout", values.DURATION),
    _row("scheduleToStartTimeout", "schedule_to_start_timeout", values.DURATION),
    _row("startToCloseTimeout", "start_to_close_timeout", values.DURATION),
    _row("heartbeatTimeout", "heartbeat_timeout", values.DURATION),
    _row("retryPolicy", "retry_policy", values.RETRY),
    _row("priority", "priority", values.PLAIN),
)
_CHILD = (
    _row("workflowId", "workflow_id"),
    _row("workflowType", "workflow_type", values.NAMED),
    _row("taskQueue", "task_queue", values.NAMED),
    _row("input", "input", values.PAYLOADS),
    _row("workflowExecutionTimeout", "workflow_execution_timeout", values.DURATION),
    _row("workflowRunTimeout", "workflow_run_timeout", values.DURATION),
    _row("workflowTaskTimeout", "workflow_task_timeout", values.DURATION),
    _row("parentClosePolicy", "parent_close_policy", _CLOSE),
    _row("workflowIdReusePolicy", "workflow_id_reuse_policy", _REUSE),
    _row("retryPolicy", "retry_policy", values.CHILD_RETRY),
    _row("cronSchedule", "cron_schedule"),
    _row("header", "headers", values.PAYLOAD_MAP),
    _row("memo", "memo", values.PAYLOAD_MAP),
    _row("searchAttributes", "search_attributes", values.PAYLOAD_MAP),
    _row("priority", "priority", values.PLAIN),
)
_CONTINUE = (
    _row("workflowType", "workflow_type", values.NAMED),
    _row("taskQueue", "task_queue", values.NAMED),
    _row("input", "arguments", values.PAYLOADS),
    _row("workflowRunTimeout", "workflow_run_timeout", values.DURATION),
    _row("workflowTaskTimeout", "workflow_task_timeout", values.DURATION),
    _row("backoffStartInterval", "backoff_start_interval", values.DURATION),
    _row("header", "headers", values.PAYLOAD_MAP),
    _row("memo", "memo", values.PAYLOAD_MAP),
    _row("searchAttributes", "search_attributes", values.PAYLOAD_MAP),
)
_SIGNAL = (
    _row("workflowExecution", "workflow_execution", values.EXECUTION),
    _row("signalName", "signal_name"),
    _row("input", "args", values.PAYLOADS),
    _row("header", "headers", values.PAYLOAD_MAP),
)
_NEXUS = (
    _row("endpoint", "endpoint"),
    _row("service", "service"),
    _row("operation", "operation"),
    _row("input", "input", values.SINGLE),
    _row("scheduleToCloseTimeout", "schedule_to_close_timeout", values.DURATION),
    _row("scheduleToStartTimeout", "schedule_to_start_timeout", values.DURATION),
    _row("startToCloseTimeout", "start_to_close_timeout", values.DURATION),
    _row("nexusHeader", "nexus_header", values.TEXT_MAP),
)
_TIMER = (_row("timerId", "seq", Reader(lambda value: value or None, str)),)
_LOCAL = (
    _row("seq", "seq"),
    _row("activityId", "activity_id"),
    _row("activityType", "activity_type"),
)

KINDS: tuple[Kind, ...] = (
    Kind(
        "activity", "ActivityTaskScheduled", "schedule_activity", _ACTIVITY,
        ("activityId", "activityType"), "activityType", "activity",
    ),
    Kind("cancel_activity", "ActivityTaskCancelRequested", "request_cancel_activity", words="cancel of activity"),
    Kind(
        "local_activity", "", "schedule_local_activity", _LOCAL,
        ("seq", "activityId", "activityType"), "activityType", "local activity",
    ),
    Kind(
        "timer", "TimerStarted", "start_timer",
        (*_TIMER, _row("startToFireTimeout", "start_to_fire_timeout", values.DURATION)), (), "timerId", "timer",
    ),
    Kind("cancel_timer", "TimerCanceled", "cancel_timer", _TIMER, (), "timerId", "cancel of timer"),
    Kind(
        "child_workflow", "StartChildWorkflowExecutionInitiated", "start_child_workflow_execution", _CHILD,
        ("workflowId", "workflowType"), "workflowType", "child workflow",
    ),
    Kind(
        "signal_workflow", "SignalExternalWorkflowExecutionInitiated", "signal_external_workflow_execution", _SIGNAL,
        (), "signalName", "signal",
    ),
    Kind(
        "cancel_workflow", "RequestCancelExternalWorkflowExecutionInitiated",
        "request_cancel_external_workflow_execution",
        (_row("workflowExecution", "workflow_execution", values.EXECUTION),), (), "workflowExecution",
        "cancel of workflow",
    ),
    Kind(
        "nexus_operation", "NexusOperationScheduled", "schedule_nexus_operation", _NEXUS,
        ("service", "operation"), "operation", "Nexus operation",
    ),
    Kind(
        "cancel_nexus_operation", "NexusOperationCancelRequested", "request_cancel_nexus_operation",
        words="cancel of Nexus operation",
    ),
    Kind("patch", "", "set_patch_marker", (_row("patchId", "patch_id"),), ("patchId",), "patchId", "patch"),
    Kind("marker", "MarkerRecorded", "", (_row("markerName", ""),), (), "markerName", "marker"),
    Kind(
        "search_attributes", "UpsertWorkflowSearchAttributes", "upsert_workflow_search_attributes",
        (_row("searchAttributes", "search_attributes", values.PAYLOAD_MAP),), words="upsert of search attributes",
    ),
    Kind(
        "memo", "WorkflowPropertiesModified", "modify_workflow_properties",
        (_row("upsertedMemo", "upserted_memo", values.PAYLOAD_MAP),), words="upsert of the memo",
    ),
    Kind("update_accepted", "WorkflowExecutionUpdateAccepted", "", words="accepted update"),
    Kind(
        "update_completed", "WorkflowExecutionUpdateCompleted", "", (_row("outcome", "", values.OUTCOME),),
        words="completed update",
    ),
    Kind("update_rejected", "WorkflowExecutionUpdateRejected", "", words="rejected update"),
    Kind(
        "complete", "WorkflowExecutionCompleted", "complete_workflow_execution",
        (_row("result", "result", values.SINGLE),), words="completion of the workflow",
    ),
    Kind(
        "fail", "WorkflowExecutionFailed", "fail_workflow_execution",
        (_row("failure", "failure", values.FAILURE),), words="failure of the workflow",
    ),
    Kind("cancel", "WorkflowExecutionCanceled", "cancel_workflow_execution", words="cancellation of the workflow"),
    Kind(
        "continue_as_new", "WorkflowExecutionContinuedAsNew", "continue_as_new_workflow_execution", _CONTINUE,
        (), "workflowType", "continue-as-new",
    ),
)  # fmt: skip

BY_KIND = {one.kind: one for one in KINDS}
BY_EVENT = {one.event: one for one in KINDS if one.event}
BY_VARIANT = {one.variant: one for one in KINDS if one.variant}
TERMINAL = frozenset({"complete", "fail", "cancel", "continue_as_new"})
CLOSING = frozenset(BY_KIND[kind].event for kind in TERMINAL) | {
    "WorkflowExecutionTerminated",
    "WorkflowExecutionTimedOut",
}


def words(kind: str, name: str) -> str:
    """A command in a sentence.

    >>> words("activity", "charge_card")
    "activity 'charge_card'"
    >>> words("complete", "")
    'completion of the workflow'
    """
    known = BY_KIND.get(kind)
    said = known.words if known else kind
    return f"{said} {name!r}" if name else said


def recorded_fields(kind: Kind, attributes: dict[str, Any]) -> dict[str, Any]:
    """The fields of an event."""
    return values.given({row.key: row.reader.recorded(attributes.get(row.key)) for row in kind.rows})


def produced_fields(kind: Kind, message: Any) -> dict[str, Any]:
    """The fields of a command."""
    rows = _KNOWN.get(kind.kind)
    if rows is None:
        known = message.DESCRIPTOR.fields_by_name
        rows = _KNOWN[kind.kind] = tuple(row for row in kind.rows if row.attribute in known)
    return values.given({row.key: row.reader.produced(getattr(message, row.attribute)) for row in rows})


# The rows that the installed SDK has: newer ones have more.
_KNOWN: dict[str, tuple[Row, ...]] = {}
