"""The state machine of a child workflow."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import (
    ChildWorkflowExecutionFailureInfo,
    Failure,
    TerminatedFailureInfo,
    TimeoutFailureInfo,
)
from temporalio.bridge.proto import child_workflow as outcomes
from temporalio.bridge.proto.child_workflow import (
    ChildWorkflowCancellationType,
    ChildWorkflowResult,
    StartChildWorkflowExecutionFailedCause,
)
from temporalio.bridge.proto.workflow_activation import (
    ResolveChildWorkflowExecution,
    ResolveChildWorkflowExecutionStart,
    ResolveChildWorkflowExecutionStartCancelled,
    ResolveChildWorkflowExecutionStartFailure,
    ResolveChildWorkflowExecutionStartSuccess,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import StartChildWorkflowExecution, WorkflowCommand

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.sdk_flags import CHECK_IDS_AND_TYPES
from replaytool.engines.temporal.core.state_machines.base import (
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transitions,
)
from replaytool.engines.temporal.events.event_structs import ChildClosed, ChildInitiated, ChildStarted

_CAUSES = frozenset(StartChildWorkflowExecutionFailedCause.keys())
_RESOLVES_AT_ONCE = (ChildWorkflowCancellationType.ABANDON, ChildWorkflowCancellationType.TRY_CANCEL)
_SENT, _RECORDED = "StartCommandCreated", "StartEventRecorded"


class ChildWorkflowMachine(StateMachine):
    """A child workflow. Its id and type are compared; nothing else is."""

    __slots__ = ("_initiated_event_id", "_run_id", "_saw_cancelled", "_started_event_id")
    attrs: StartChildWorkflowExecution
    REFUSES = "Child workflow machine does not handle this event: "
    FIRST = _SENT

    def __init__(self, command: WorkflowCommand | None, attrs: StartChildWorkflowExecution, seq: int) -> None:
        super().__init__(command, attrs, seq)
        self._run_id = ""
        self._initiated_event_id = 0
        self._started_event_id = 0
        self._saw_cancelled = False

    def on_initiated(self, host: MachineHost, event: ChildInitiated, event_id: int) -> Fault | None:
        """Compare the id, then the type."""
        if host.flags.requires_check(CHECK_IDS_AND_TYPES, in_last=host.in_last_batch):
            for what, recorded, produced in (
                ("id", event.workflow_id, self.attrs.workflow_id),
                ("type", event.workflow_type.name, self.attrs.workflow_type),
            ):
                if recorded != produced:
                    text = f"Child workflow {what} of scheduled event '{recorded}' does not match child workflow {what}"
                    return Fault("nondeterminism", f"{text} of command '{produced}'")
        self._initiated_event_id = event_id
        return None

    def _build_failure(self, message: str, cause: Failure | None, state: RetryState.ValueType) -> Failure:
        return Failure(
            message=message,
            cause=cause,
            child_workflow_execution_failure_info=ChildWorkflowExecutionFailureInfo(
                namespace=self.attrs.namespace,
                workflow_type=WorkflowType(name=self.attrs.workflow_type),
                workflow_execution=WorkflowExecution(workflow_id=self.attrs.workflow_id, run_id=self._run_id),
                initiated_event_id=self._initiated_event_id,
                started_event_id=self._started_event_id,
                retry_state=state,
            ),
        )

    def _build_cancelled(self, message: str) -> Failure:
        return self._build_failure(message, failures.build_canceled_failure(), failures.NON_RETRYABLE)

    def _resolve_start(self, host: MachineHost, job: ResolveChildWorkflowExecutionStart) -> None:
        job.seq = self.seq
        host.queue_job(WorkflowActivationJob(resolve_child_workflow_execution_start=job))

    def _resolve_end(self, host: MachineHost, result: ChildWorkflowResult) -> None:
        job = ResolveChildWorkflowExecution(seq=self.seq, result=result)
        host.queue_job(WorkflowActivationJob(resolve_child_workflow_execution=job))

    def _resolve_failed(
        self, host: MachineHost, message: str, cause: Failure | None, state: RetryState.ValueType
    ) -> None:
        failure = self._build_failure(message, cause, state)
        self._resolve_end(host, ChildWorkflowResult(failed=outcomes.Failure(failure=failure)))

    def _resolve_cancelled(self, host: MachineHost) -> None:
        failure = self._build_cancelled("Child Workflow execution cancelled")
        self._resolve_end(host, ChildWorkflowResult(cancelled=outcomes.Cancellation(failure=failure)))

    def on_started(self, host: MachineHost, event: ChildStarted, event_id: int) -> Fault | None:
        """Resolve the start with the run id."""
        if event.workflow_execution is None:
            return Fault("fatal", "ChildWorkflowExecutionStarted attributes were unset or malformed")
        self._started_event_id = event_id
        self._run_id = event.workflow_execution.run_id
        succeeded = ResolveChildWorkflowExecutionStartSuccess(run_id=self._run_id)
        self._resolve_start(host, ResolveChildWorkflowExecutionStart(succeeded=succeeded))
        return None

    def on_start_failed(self, host: MachineHost, event: ChildClosed, event_id: int) -> None:
        """Resolve the start as failed."""
        causes = StartChildWorkflowExecutionFailedCause
        failed = ResolveChildWorkflowExecutionStartFailure(
            workflow_id=self.attrs.workflow_id,
            workflow_type=self.attrs.workflow_type,
            cause=causes.Value(event.cause) if event.cause in _CAUSES else causes.ValueType(0),
        )
        self._resolve_start(host, ResolveChildWorkflowExecutionStart(failed=failed))

    def on_cancel_before_sent(self, host: MachineHost, reason: str) -> None:
        """Drop the command and resolve the start as cancelled."""
        self.is_dropped = True
        failure = self._build_cancelled(f"Child Workflow Execution cancelled before scheduled: {reason}")
        cancelled = ResolveChildWorkflowExecutionStartCancelled(failure=failure)
        self._resolve_start(host, ResolveChildWorkflowExecutionStart(cancelled=cancelled))

    def on_completed(self, host: MachineHost, event: ChildClosed, event_id: int) -> Fault | None:
        """Resolve with the only payload; the result is unset where the event has none."""
        values = event.result
        if values is None:
            self._resolve_end(host, ChildWorkflowResult(completed=outcomes.Success()))
        elif len(values.payloads) == 1:
            success = outcomes.Success(result=values.payloads[0].to_proto())
            self._resolve_end(host, ChildWorkflowResult(completed=success))
        else:
            return Fault("fatal", f"Not exactly one payload in activity result ({len(values.payloads)})")
        return None

    def on_failed(self, host: MachineHost, event: ChildClosed, event_id: int) -> None:
        """Resolve as failed."""
        cause, state = failures.read_failure(event.failure), failures.read_retry_state(event.retry_state)
        self._resolve_failed(host, "Child Workflow execution failed", cause, state)

    def on_timed_out(self, host: MachineHost, event: ChildClosed, event_id: int) -> None:
        """Resolve as failed with a timeout."""
        timeout = TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
        cause = Failure(message="Timed out", timeout_failure_info=timeout)
        state = failures.read_retry_state(event.retry_state)
        self._resolve_failed(host, "Child Workflow execution timed out", cause, state)

    def on_terminated(self, host: MachineHost, event: ChildClosed, event_id: int) -> None:
        """Resolve as failed with a termination."""
        cause = Failure(message="Terminated", terminated_failure_info=TerminatedFailureInfo())
        self._resolve_failed(host, "Child Workflow execution terminated", cause, failures.NON_RETRYABLE)

    def on_canceled(self, host: MachineHost, event: ChildClosed, event_id: int) -> None:
        """Resolve as cancelled."""
        self._saw_cancelled = True
        self._resolve_cancelled(host)

    def on_canceled_after_cancel(self, host: MachineHost, event: ChildClosed, event_id: int) -> Fault | None:
        """Ignore the first such event: the cancel resolved the child already. A second one is fatal in sdk-core."""
        if self._saw_cancelled:
            text = "Child workflow has already seen a ChildWorkflowExecutionCanceledEvent, and now another is being"
            return Fault("fatal", f"{text} applied")
        self._saw_cancelled = True
        return None

    def on_end_after_cancel(self, host: MachineHost, event: ChildClosed, event_id: int) -> Fault | None:
        """Ignore the end of a child that the cancel resolved already; SDKs before 1.32 refuse it."""
        if self.attrs.cancellation_type in _RESOLVES_AT_ONCE:
            return None
        text = "Child workflows which don't resolve immediately on cancellation cannot complete after being cancelled."
        return Fault("nondeterminism", text)

    def on_cancel(self, host: MachineHost, reason: str) -> None:
        """Issue the external cancel, except for ABANDON. ABANDON and TRY_CANCEL resolve the child at once."""
        kind = self.attrs.cancellation_type
        if kind != ChildWorkflowCancellationType.ABANDON:
            host.issue_external_cancel(self, reason)
        if kind in _RESOLVES_AT_ONCE:
            self.state = "Cancelled"  # instead of the table's target, which holds for the WAIT types
            self._resolve_cancelled(host)

    TABLE = transitions(
        (_SENT, SENT, _SENT),
        (_SENT, "StartChildWorkflowExecutionInitiated", _RECORDED, on_initiated),
        (_SENT, CANCEL, "Cancelled", on_cancel_before_sent),
        (_RECORDED, "ChildWorkflowExecutionStarted", "Started", on_started),
        (_RECORDED, "StartChildWorkflowExecutionFailed", "StartFailed", on_start_failed),
        (_RECORDED, CANCEL, _RECORDED, on_cancel),
        ("Started", "ChildWorkflowExecutionCompleted", "Completed", on_completed),
        ("Started", "ChildWorkflowExecutionFailed", "Failed", on_failed),
        ("Started", "ChildWorkflowExecutionTimedOut", "TimedOut", on_timed_out),
        ("Started", "ChildWorkflowExecutionCanceled", "Cancelled", on_canceled),
        ("Started", "ChildWorkflowExecutionTerminated", "Terminated", on_terminated),
        ("Started", CANCEL, "Started", on_cancel),
        ("Cancelled", f"{CANCEL}, ChildWorkflowExecutionStarted, StartChildWorkflowExecutionFailed", "Cancelled"),
        ("Cancelled", "ChildWorkflowExecutionCanceled", "Cancelled", on_canceled_after_cancel),
        ("Cancelled", "ChildWorkflowExecutionCompleted", "Cancelled", on_end_after_cancel),
        ("Cancelled", "ChildWorkflowExecutionFailed", "Cancelled", on_end_after_cancel),
        ("Cancelled", "ChildWorkflowExecutionTimedOut", "Cancelled", on_end_after_cancel),
        ("Cancelled", "ChildWorkflowExecutionTerminated", "Cancelled", on_end_after_cancel),
        # Terminated has no Cancel row: sdk-core reports nondeterminism for it.
        *((state, CANCEL, state) for state in ("Failed", "StartFailed", "TimedOut", "Completed")),
    )
