"""The table of command kinds: for each its event, its proto, and the fields that both have.

Adding a kind is one row in KINDS. `event` and `variant` name the two sides. `rows` gives each field's name in the
event's JSON and in the proto, and how to read it. `identity` are the fields that sdk-core compares; a difference in
any other field is drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import ParentClosePolicy, WorkflowIdReusePolicy

from replaytool.engines.temporal.replay import command_fields as values
from replaytool.engines.temporal.replay.command_fields import FieldReader


@dataclass(frozen=True, slots=True)
class CommandField:
    """One field of a command kind, with its name in the event (`key`) and in the proto (`attribute`)."""

    key: str
    attribute: str
    reader: FieldReader


@dataclass(frozen=True, slots=True)
class CommandKind:
    """One kind of command, with the event that records it and the proto variant that asks for it."""

    kind: str
    event: str
    variant: str
    rows: tuple[CommandField, ...] = ()
    identity: tuple[str, ...] = ()
    name: str = ""
    """The field that names the command to a person."""
    words: str = ""
    """The noun for it in a sentence."""


def _field_row(key: str, attribute: str, reader: FieldReader = values.TEXT) -> CommandField:
    return CommandField(key, attribute, reader)


_CLOSE = values.make_enum_reader(ParentClosePolicy, "PARENT_CLOSE_POLICY_TERMINATE")
_REUSE = values.make_enum_reader(WorkflowIdReusePolicy, "WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE")

_ACTIVITY = (
    _field_row("activityId", "activity_id"),
    _field_row("activityType", "activity_type", values.NAMED),
    _field_row("taskQueue", "task_queue", values.NAMED),
    _field_row("header", "headers", values.PAYLOAD_MAP),
    _field_row("input", "arguments", values.PAYLOADS),
    _field_row("scheduleToCloseTimeout", "schedule_to_close_timeout", values.DURATION),
    _field_row("scheduleToStartTimeout", "schedule_to_start_timeout", values.DURATION),
    _field_row("startToCloseTimeout", "start_to_close_timeout", values.DURATION),
    _field_row("heartbeatTimeout", "heartbeat_timeout", values.DURATION),
    _field_row("retryPolicy", "retry_policy", values.RETRY),
    _field_row("priority", "priority", values.PLAIN),
)
_CHILD = (
    _field_row("workflowId", "workflow_id"),
    _field_row("workflowType", "workflow_type", values.NAMED),
    _field_row("taskQueue", "task_queue", values.NAMED),
    _field_row("input", "input", values.PAYLOADS),
    _field_row("workflowExecutionTimeout", "workflow_execution_timeout", values.DURATION),
    _field_row("workflowRunTimeout", "workflow_run_timeout", values.DURATION),
    _field_row("workflowTaskTimeout", "workflow_task_timeout", values.DURATION),
    _field_row("parentClosePolicy", "parent_close_policy", _CLOSE),
    _field_row("workflowIdReusePolicy", "workflow_id_reuse_policy", _REUSE),
    _field_row("retryPolicy", "retry_policy", values.CHILD_RETRY),
    _field_row("cronSchedule", "cron_schedule"),
    _field_row("header", "headers", values.PAYLOAD_MAP),
    _field_row("memo", "memo", values.PAYLOAD_MAP),
    _field_row("searchAttributes", "search_attributes", values.PAYLOAD_MAP),
    _field_row("priority", "priority", values.PLAIN),
)
_CONTINUE = (
    _field_row("workflowType", "workflow_type", values.NAMED),
    _field_row("taskQueue", "task_queue", values.NAMED),
    _field_row("input", "arguments", values.PAYLOADS),
    _field_row("workflowRunTimeout", "workflow_run_timeout", values.DURATION),
    _field_row("workflowTaskTimeout", "workflow_task_timeout", values.DURATION),
    _field_row("backoffStartInterval", "backoff_start_interval", values.DURATION),
    _field_row("header", "headers", values.PAYLOAD_MAP),
    _field_row("memo", "memo", values.PAYLOAD_MAP),
    _field_row("searchAttributes", "search_attributes", values.PAYLOAD_MAP),
)
_SIGNAL = (
    _field_row("workflowExecution", "workflow_execution", values.EXECUTION),
    _field_row("signalName", "signal_name"),
    _field_row("input", "args", values.PAYLOADS),
    _field_row("header", "headers", values.PAYLOAD_MAP),
)
_NEXUS = (
    _field_row("endpoint", "endpoint"),
    _field_row("service", "service"),
    _field_row("operation", "operation"),
    _field_row("input", "input", values.SINGLE),
    _field_row("scheduleToCloseTimeout", "schedule_to_close_timeout", values.DURATION),
    _field_row("scheduleToStartTimeout", "schedule_to_start_timeout", values.DURATION),
    _field_row("startToCloseTimeout", "start_to_close_timeout", values.DURATION),
    _field_row("nexusHeader", "nexus_header", values.TEXT_MAP),
)
_TIMER = (_field_row("timerId", "seq", FieldReader(lambda value: value or None, str)),)
_LOCAL = (
    _field_row("seq", "seq"),
    _field_row("activityId", "activity_id"),
    _field_row("activityType", "activity_type"),
)

KINDS: tuple[CommandKind, ...] = (
    CommandKind(
        "activity", "ActivityTaskScheduled", "schedule_activity", _ACTIVITY,
        ("activityId", "activityType"), "activityType", "activity",
    ),
    CommandKind(
        "cancel_activity", "ActivityTaskCancelRequested", "request_cancel_activity",
        words="cancel of activity",
    ),
    CommandKind(
        "local_activity", "", "schedule_local_activity", _LOCAL,
        ("seq", "activityId", "activityType"), "activityType", "local activity",
    ),
    CommandKind(
        "timer", "TimerStarted", "start_timer",
        (*_TIMER, _field_row("startToFireTimeout", "start_to_fire_timeout", values.DURATION)), (), "timerId", "timer",
    ),
    CommandKind("cancel_timer", "TimerCanceled", "cancel_timer", _TIMER, (), "timerId", "cancel of timer"),
    CommandKind(
        "child_workflow", "StartChildWorkflowExecutionInitiated", "start_child_workflow_execution", _CHILD,
        ("workflowId", "workflowType"), "workflowType", "child workflow",
    ),
    CommandKind(
        "signal_workflow", "SignalExternalWorkflowExecutionInitiated", "signal_external_workflow_execution", _SIGNAL,
        (), "signalName", "signal",
    ),
    CommandKind(
        "cancel_workflow", "RequestCancelExternalWorkflowExecutionInitiated",
        "request_cancel_external_workflow_execution",
        (
            _field_row("workflowExecution", "workflow_execution", values.EXECUTION),
            _field_row("reason", "reason", values.REASON),
        ),
        (), "workflowExecution", "cancel of workflow",
    ),
    CommandKind(
        "nexus_operation", "NexusOperationScheduled", "schedule_nexus_operation", _NEXUS,
        ("service", "operation"), "operation", "Nexus operation",
    ),
    CommandKind(
        "cancel_nexus_operation", "NexusOperationCancelRequested", "request_cancel_nexus_operation",
        words="cancel of Nexus operation",
    ),
    CommandKind(
        "patch", "", "set_patch_marker", (_field_row("patchId", "patch_id"),),
        ("patchId",), "patchId", "patch",
    ),
    CommandKind("marker", "MarkerRecorded", "", (_field_row("markerName", ""),), (), "markerName", "marker"),
    CommandKind(
        "search_attributes", "UpsertWorkflowSearchAttributes", "upsert_workflow_search_attributes",
        (_field_row("searchAttributes", "search_attributes", values.PAYLOAD_MAP),), words="upsert of search attributes",
    ),
    CommandKind(
        "memo", "WorkflowPropertiesModified", "modify_workflow_properties",
        (_field_row("upsertedMemo", "upserted_memo", values.PAYLOAD_MAP),), words="upsert of the memo",
    ),
    CommandKind("update_accepted", "WorkflowExecutionUpdateAccepted", "", words="accepted update"),
    CommandKind(
        "update_completed", "WorkflowExecutionUpdateCompleted", "", (_field_row("outcome", "", values.OUTCOME),),
        words="completed update",
    ),
    CommandKind("update_rejected", "WorkflowExecutionUpdateRejected", "", words="rejected update"),
    CommandKind(
        "complete", "WorkflowExecutionCompleted", "complete_workflow_execution",
        (_field_row("result", "result", values.SINGLE),), words="completion of the workflow",
    ),
    CommandKind(
        "fail", "WorkflowExecutionFailed", "fail_workflow_execution",
        (_field_row("failure", "failure", values.FAILURE),), words="failure of the workflow",
    ),
    CommandKind(
        "cancel", "WorkflowExecutionCanceled", "cancel_workflow_execution",
        words="cancellation of the workflow",
    ),
    CommandKind(
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


def describe_command(kind: str, name: str) -> str:
    """Return a command as it reads in a sentence.

    >>> describe_command("activity", "charge_card")
    "activity 'charge_card'"
    >>> describe_command("complete", "")
    'completion of the workflow'
    """
    known = BY_KIND.get(kind)
    said = known.words if known else kind
    return f"{said} {name!r}" if name else said


def read_recorded_fields(kind: CommandKind, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the comparable fields of an event."""
    return values.drop_none_values({row.key: row.reader.recorded(attributes.get(row.key)) for row in kind.rows})


def read_produced_fields(kind: CommandKind, message: Any) -> dict[str, Any]:
    """Return the comparable fields of a command's proto."""
    rows = _KNOWN.get(kind.kind)
    if rows is None:
        known = message.DESCRIPTOR.fields_by_name
        rows = _KNOWN[kind.kind] = tuple(row for row in kind.rows if row.attribute in known)
    return values.drop_none_values({row.key: row.reader.produced(getattr(message, row.attribute)) for row in rows})


# By kind: the rows whose field exists in the installed SDK. Newer releases have more.
_KNOWN: dict[str, tuple[CommandField, ...]] = {}
