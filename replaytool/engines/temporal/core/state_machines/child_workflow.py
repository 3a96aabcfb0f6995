"""The machine of a child workflow."""

from __future__ import annotations

from typing import Any

from temporalio.bridge.proto.child_workflow import (
    Cancellation,
    ChildWorkflowCancellationType,
    ChildWorkflowResult,
    Failure,
    StartChildWorkflowExecutionFailedCause,
    Success,
)
from temporalio.bridge.proto.workflow_activation import (
    ResolveChildWorkflowExecution,
    ResolveChildWorkflowExecutionStart,
    ResolveChildWorkflowExecutionStartCancelled,
    ResolveChildWorkflowExecutionStartFailure,
    ResolveChildWorkflowExecutionStartSuccess,
    WorkflowActivationJob,
)

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.sdk_flags import CHECK_IDS_AND_TYPES
from replaytool.engines.temporal.core.state_machines.base import (
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transition_table,
)

_CAUSES = frozenset(StartChildWorkflowExecutionFailedCause.keys())
_RESOLVES_AT_ONCE = (ChildWorkflowCancellationType.ABANDON, ChildWorkflowCancellationType.TRY_CANCEL)


class ChildWorkflowMachine(StateMachine):
    """A child workflow: its id and type are compared."""

    __slots__ = ("initiated_event_id", "run_id", "saw_cancelled", "started_event_id")
    NAME = "ChildWorkflowMachine"
    REFUSES = "Child workflow machine does not handle this event: "
    HANDLES = frozenset(
        [
            "StartChildWorkflowExecutionInitiated",
            "StartChildWorkflowExecutionFailed",
            "ChildWorkflowExecutionStarted",
            "ChildWorkflowExecutionCompleted",
            "ChildWorkflowExecutionFailed",
            "ChildWorkflowExecutionTimedOut",
            "ChildWorkflowExecutionTerminated",
            "ChildWorkflowExecutionCanceled",
        ]
    )
    FIRST = "StartCommandCreated"

    def __init__(self, command: Any = None, attrs: Any = None) -> None:
        super().__init__(command, attrs)
        self.run_id = ""
        self.initiated_event_id = 0
        self.started_event_id = 0
        self.saw_cancelled = False


def _initiated(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    if core.flags.requires_check(CHECK_IDS_AND_TYPES, in_last=core.in_last):
        for what, recorded, produced in (
            ("id", record.workflow_id, machine.attrs.workflow_id),
            ("type", record.workflow_type.name, machine.attrs.workflow_type),
        ):
            if recorded != produced:
                text = f"Child workflow {what} of scheduled event '{recorded}' does not match child workflow {what}"
                return Fault("nondeterminism", f"{text} of command '{produced}'")
    machine.initiated_event_id = event_id
    return None


def _tell_start(machine: Any, core: MachineHost, **status: Any) -> None:
    job = ResolveChildWorkflowExecutionStart(seq=machine.seq, **status)
    core.queue_job(WorkflowActivationJob(resolve_child_workflow_execution_start=job))


def _tell_end(machine: Any, core: MachineHost, **status: Any) -> None:
    job = ResolveChildWorkflowExecution(seq=machine.seq, result=ChildWorkflowResult(**status))
    core.queue_job(WorkflowActivationJob(resolve_child_workflow_execution=job))


def _tell_failed(machine: Any, core: MachineHost, text: str, cause: Any, state: Any) -> None:
    _tell_end(machine, core, failed=Failure(failure=failures.build_child_failure(text, machine, cause, state)))


def _tell_cancelled(machine: Any, core: MachineHost) -> None:
    text = "Child Workflow execution cancelled"
    failure = failures.build_child_failure(text, machine, failures.build_canceled_failure(), failures.NON_RETRYABLE)
    _tell_end(machine, core, cancelled=Cancellation(failure=failure))


def _dropped(machine: Any, core: MachineHost, reason: Any, event_id: int) -> None:
    machine.is_dropped = True
    text = f"Child Workflow Execution cancelled before scheduled: {reason}"
    failure = failures.build_child_failure(text, machine, failures.build_canceled_failure(), failures.NON_RETRYABLE)
    _tell_start(machine, core, cancelled=ResolveChildWorkflowExecutionStartCancelled(failure=failure))


def _started(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    if record.workflow_execution is None:
        return Fault("fatal", "ChildWorkflowExecutionStarted attributes were unset or malformed")
    machine.started_event_id = event_id
    machine.run_id = record.workflow_execution.run_id
    _tell_start(machine, core, succeeded=ResolveChildWorkflowExecutionStartSuccess(run_id=machine.run_id))
    return None


def _start_failed(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    causes = StartChildWorkflowExecutionFailedCause
    failure = ResolveChildWorkflowExecutionStartFailure(
        workflow_id=machine.attrs.workflow_id,
        workflow_type=machine.attrs.workflow_type,
        cause=causes.Value(record.cause) if record.cause in _CAUSES else causes.ValueType(0),
    )
    _tell_start(machine, core, failed=failure)


def _completed(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    values = record.result
    if values is None:
        _tell_end(machine, core, completed=Success())
    elif len(values.payloads) == 1:
        _tell_end(machine, core, completed=Success(result=values.payloads[0].to_proto()))
    else:
        return Fault("fatal", f"Not exactly one payload in activity result ({len(values.payloads)})")
    return None


def _failed(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    cause, state = failures.read_failure(record.failure), failures.read_retry_state(record.retry_state)
    _tell_failed(machine, core, "Child Workflow execution failed", cause, state)


def _timed_out(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    state = failures.read_retry_state(record.retry_state)
    _tell_failed(machine, core, "Child Workflow execution timed out", failures.build_child_timeout(), state)


def _terminated(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    cause, state = failures.build_child_terminated(), failures.NON_RETRYABLE
    _tell_failed(machine, core, "Child Workflow execution terminated", cause, state)


def _cancelled(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    machine.saw_cancelled = True
    _tell_cancelled(machine, core)


def _cancelled_late(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    if machine.saw_cancelled:
        text = "Child workflow has already seen a ChildWorkflowExecutionCanceledEvent, and now another is being applied"
        return Fault("fatal", text)
    machine.saw_cancelled = True
    return None


def _ended_late(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    if machine.attrs.cancellation_type in _RESOLVES_AT_ONCE:
        return None
    text = "Child workflows which don't resolve immediately on cancellation cannot complete after being cancelled."
    return Fault("nondeterminism", text)


def _ask_cancel(machine: Any, core: MachineHost, reason: Any, event_id: int) -> None:
    """The table says that it stays; where the workflow does not wait, it is over for it at once."""
    kind = machine.attrs.cancellation_type
    if kind != ChildWorkflowCancellationType.ABANDON:
        core.issue_external_cancel(machine)
    if kind in _RESOLVES_AT_ONCE:
        machine.state = "Cancelled"
        _tell_cancelled(machine, core)


_SENT, _RECORDED = "StartCommandCreated", "StartEventRecorded"

ChildWorkflowMachine.TABLE = transition_table(
    (_SENT, SENT, _SENT),
    (_SENT, "StartChildWorkflowExecutionInitiated", _RECORDED, _initiated),
    (_SENT, CANCEL, "Cancelled", _dropped),
    (_RECORDED, "ChildWorkflowExecutionStarted", "Started", _started),
    (_RECORDED, "StartChildWorkflowExecutionFailed", "StartFailed", _start_failed),
    (_RECORDED, CANCEL, _RECORDED, _ask_cancel),
    ("Started", "ChildWorkflowExecutionCompleted", "Completed", _completed),
    ("Started", "ChildWorkflowExecutionFailed", "Failed", _failed),
    ("Started", "ChildWorkflowExecutionTimedOut", "TimedOut", _timed_out),
    ("Started", "ChildWorkflowExecutionCanceled", "Cancelled", _cancelled),
    ("Started", "ChildWorkflowExecutionTerminated", "Terminated", _terminated),
    ("Started", CANCEL, "Started", _ask_cancel),
    ("Cancelled", f"{CANCEL}, ChildWorkflowExecutionStarted, StartChildWorkflowExecutionFailed", "Cancelled"),
    ("Cancelled", "ChildWorkflowExecutionCanceled", "Cancelled", _cancelled_late),
    (
        "Cancelled",
        "ChildWorkflowExecutionCompleted, ChildWorkflowExecutionFailed, ChildWorkflowExecutionTimedOut,"
        " ChildWorkflowExecutionTerminated",
        "Cancelled",
        _ended_late,
    ),
    ("Failed", CANCEL, "Failed"),
    ("StartFailed", CANCEL, "StartFailed"),
    ("TimedOut", CANCEL, "TimedOut"),
    ("Completed", CANCEL, "Completed"),
)
