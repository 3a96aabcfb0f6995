"""The state machines of commands to other workflows: signal one, or request its cancellation."""

from __future__ import annotations

from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.bridge.proto.workflow_activation import (
    ResolveRequestCancelExternalWorkflow,
    ResolveSignalExternalWorkflow,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import (
    RequestCancelExternalWorkflowExecution,
    SignalExternalWorkflowExecution,
)

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.state_machines.base import CANCEL, SENT, MachineHost, StateMachine, transitions
from replaytool.engines.temporal.events.event_structs import ChildClosed, InitiatedReference

_SIGNAL_CAUSES = ("Unspecified", "ExternalWorkflowExecutionNotFound", "NamespaceNotFound", "SignalCountLimitExceeded")
_SIGNAL_TEXTS = ("unknown", "it was not found", "it was not found", "The per-workflow signal limit was exceeded")
_CANCEL_CAUSES = ("Unspecified", "ExternalWorkflowExecutionNotFound", "NamespaceNotFound")


def _read_cause(recorded: str, prefix: str, known: tuple[str, ...]) -> tuple[str, int]:
    """Return the name and the number of a recorded cause; unknown causes become unspecified."""
    name = recorded.removeprefix(prefix).title().replace("_", "")
    return (name, known.index(name)) if name in known else (known[0], 0)


def _build_failure(message: str, kind: str) -> Failure:
    return Failure(message=message, application_failure_info=ApplicationFailureInfo(type=kind))


def _set_cause(job: ResolveSignalExternalWorkflow | ResolveRequestCancelExternalWorkflow, number: int) -> None:
    if "cause" in job.DESCRIPTOR.fields_by_name:  # SDKs since 1.34
        setattr(job, "cause", number)  # noqa: B010 - older stubs do not know the field


class SignalExternalMachine(StateMachine):
    """A signal to another workflow or to a child. Its target, name and arguments are not compared."""

    __slots__ = ()
    attrs: SignalExternalWorkflowExecution
    REFUSES = "Signal external WF machine does not handle this event: "
    FIRST = "SignalExternalCommandCreated"

    def _resolve(self, host: MachineHost, failure: Failure | None = None, cause: int = 0) -> None:
        job = ResolveSignalExternalWorkflow(seq=self.seq, failure=failure)
        if cause:
            _set_cause(job, cause)
        host.queue_job(WorkflowActivationJob(resolve_signal_external_workflow=job))

    def on_signaled(self, host: MachineHost, event: InitiatedReference, event_id: int) -> None:
        """Resolve the signal: the other workflow got it."""
        self._resolve(host)

    def on_signal_failed(self, host: MachineHost, event: ChildClosed, event_id: int) -> None:
        """Resolve the signal with the recorded failure."""
        kind, cause = _read_cause(event.cause, "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_", _SIGNAL_CAUSES)
        text = f"Unable to signal external workflow because {_SIGNAL_TEXTS[cause]}"
        self._resolve(host, _build_failure(text, kind), cause)

    def on_cancel_before_sent(self, host: MachineHost, reason: str) -> None:
        """Drop the command and resolve the signal as cancelled."""
        self.is_dropped = True
        failure = failures.build_canceled_failure()
        failure.message = "Signal was cancelled before being sent"
        self._resolve(host, failure)

    TABLE = transitions(
        ("SignalExternalCommandCreated", SENT, "SignalExternalCommandCreated"),
        ("SignalExternalCommandCreated", CANCEL, "Cancelled", on_cancel_before_sent),
        ("SignalExternalCommandCreated", "SignalExternalWorkflowExecutionInitiated", "SignalExternalCommandRecorded"),
        ("SignalExternalCommandRecorded", CANCEL, "SignalExternalCommandRecorded"),
        ("SignalExternalCommandRecorded", "ExternalWorkflowExecutionSignaled", "Signaled", on_signaled),
        ("SignalExternalCommandRecorded", "SignalExternalWorkflowExecutionFailed", "Failed", on_signal_failed),
        ("Cancelled", CANCEL, "Cancelled"),
        ("Signaled", CANCEL, "Signaled"),
        # Failed has no Cancel row: sdk-core reports nondeterminism for a cancel after the failure.
    )


class CancelExternalMachine(StateMachine):
    """A request to cancel another workflow. sdk-core makes one itself to cancel a child workflow."""

    __slots__ = ("reason",)
    reason: str
    """Why the code cancels its child; set only if sdk-core made the request."""
    attrs: RequestCancelExternalWorkflowExecution
    REFUSES = "Cancel external WF machine does not handle this event: "
    FIRST = "RequestCancelExternalCommandCreated"

    def _resolve(self, host: MachineHost, failure: Failure | None = None, cause: int = 0) -> None:
        if self.is_core_made:
            return  # the code did not ask for it, so it gets no answer
        job = ResolveRequestCancelExternalWorkflow(seq=self.seq, failure=failure)
        if cause:
            _set_cause(job, cause)
        host.queue_job(WorkflowActivationJob(resolve_request_cancel_external_workflow=job))

    def on_cancel_requested(self, host: MachineHost, event: InitiatedReference, event_id: int) -> None:
        """Resolve the request: the other workflow got it."""
        self._resolve(host)

    def on_request_failed(self, host: MachineHost, event: ChildClosed, event_id: int) -> None:
        """Resolve the request with the recorded failure."""
        kind, cause = _read_cause(event.cause, "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_", _CANCEL_CAUSES)
        text = f"Unable to cancel external workflow because {'not found' if cause else 'unknown'}"
        self._resolve(host, _build_failure(text, kind), cause)

    _CREATED, _RECORDED = "RequestCancelExternalCommandCreated", "RequestCancelExternalCommandRecorded"
    TABLE = transitions(
        (_CREATED, SENT, _CREATED),
        (_CREATED, "RequestCancelExternalWorkflowExecutionInitiated", _RECORDED),
        (_RECORDED, "ExternalWorkflowExecutionCancelRequested", "CancelRequested", on_cancel_requested),
        (_RECORDED, "RequestCancelExternalWorkflowExecutionFailed", "RequestCancelFailed", on_request_failed),
    )
