"""The state machine of a Nexus operation."""

from __future__ import annotations

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure, NexusOperationFailureInfo
from temporalio.bridge.proto.nexus import NexusOperationCancellationType, NexusOperationResult
from temporalio.bridge.proto.workflow_activation import (
    ResolveNexusOperation,
    ResolveNexusOperationStart,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import ScheduleNexusOperation, WorkflowCommand

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.sdk_flags import CHECK_NEXUS
from replaytool.engines.temporal.core.state_machines.base import (
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transitions,
)
from replaytool.engines.temporal.events.event_structs import NexusEvent, NexusScheduled, ScheduledReference

_ABANDON = NexusOperationCancellationType.ABANDON
_RESOLVES_AT_ONCE = (_ABANDON, NexusOperationCancellationType.TRY_CANCEL)
_RESOLVES_ON_REQUEST = NexusOperationCancellationType.WAIT_CANCELLATION_REQUESTED
_SENT, _RECORDED = "ScheduleCommandCreated", "ScheduledEventRecorded"
_ASKED, _ANSWERED = "NexusOperationCancelRequested", "NexusOperationCancelRequestCompleted"
_ANSWER_FAILED = "NexusOperationCancelRequestFailed"


def _read_failure(event: NexusEvent, word: str) -> Failure:
    found = failures.read_failure(event.failure)
    return found or Failure(message=f"Nexus operation {word} but failure field was not populated")


class NexusOperationMachine(StateMachine):
    """A Nexus operation. Service and operation are compared where the history has the flag for it."""

    __slots__ = ("_is_cancel_sent", "_scheduled_event_id", "_token")
    attrs: ScheduleNexusOperation
    REFUSES = "Nexus operation machine does not handle this event: "
    FIRST = _SENT

    def __init__(self, command: WorkflowCommand | None, attrs: ScheduleNexusOperation, seq: int) -> None:
        super().__init__(command, attrs, seq)
        self._is_cancel_sent = False
        self._scheduled_event_id = 0
        self._token = ""

    def on_scheduled(self, host: MachineHost, event: NexusScheduled, event_id: int) -> Fault | None:
        """Compare the service, then the operation."""
        if host.flags.requires_check(CHECK_NEXUS, in_last=host.in_last_batch):
            for what, of, recorded, produced in (
                ("operation service", "service", event.service, self.attrs.service),
                ("operation", "operation", event.operation, self.attrs.operation),
            ):
                if recorded != produced:
                    text = f"Nexus {what} of scheduled event '{recorded}' does not match {of} of command '{produced}'"
                    return Fault("nondeterminism", text)
        self._scheduled_event_id = event_id
        return None

    def _resolve_start(self, host: MachineHost, job: ResolveNexusOperationStart) -> None:
        job.seq = self.seq
        host.queue_job(WorkflowActivationJob(resolve_nexus_operation_start=job))

    def _resolve_end(self, host: MachineHost, result: NexusOperationResult) -> None:
        job = ResolveNexusOperation(seq=self.seq, result=result)
        host.queue_job(WorkflowActivationJob(resolve_nexus_operation=job))

    def _resolve_cancelled(self, host: MachineHost, message: str) -> None:
        self._resolve_end(host, NexusOperationResult(cancelled=self._build_failure(message)))

    def _build_failure(self, message: str, cause: Failure | None = None) -> Failure:
        return Failure(
            message=message,
            cause=cause or failures.build_canceled_failure(),
            nexus_operation_execution_failure_info=NexusOperationFailureInfo(
                scheduled_event_id=self._scheduled_event_id,
                endpoint=self.attrs.endpoint,
                service=self.attrs.service,
                operation=self.attrs.operation,
                operation_token=self._token,
            ),
        )

    def on_cancel_before_sent(self, host: MachineHost, reason: str) -> None:
        """Drop the command and resolve the start as failed."""
        self.is_dropped = True
        failure = self._build_failure("Nexus Operation cancelled before scheduled")
        self._resolve_start(host, ResolveNexusOperationStart(failed=failure))

    def on_started(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve the start with the operation's token."""
        self._token = event.operation_token
        self._resolve_start(host, ResolveNexusOperationStart(operation_token=event.operation_token))

    def on_completed(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve with the result."""
        result = event.result.to_proto() if event.result else Payload()
        self._resolve_end(host, NexusOperationResult(completed=result))

    def on_completed_before_start(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve start and result in one activation: the operation was synchronous."""
        self._resolve_start(host, ResolveNexusOperationStart(started_sync=True))
        self.on_completed(host, event, event_id)

    def on_failed_before_start(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve the start as failed; there is no result then."""
        self._resolve_start(host, ResolveNexusOperationStart(failed=_read_failure(event, "failed")))

    def on_canceled_before_start(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve the start as failed by the cancellation."""
        self._resolve_start(host, ResolveNexusOperationStart(failed=_read_failure(event, "was cancelled")))

    def on_timed_out_before_start(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve the start as failed by the timeout."""
        self._resolve_start(host, ResolveNexusOperationStart(failed=_read_failure(event, "timed out")))

    def on_failed(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve as failed."""
        self._resolve_end(host, NexusOperationResult(failed=_read_failure(event, "failed")))

    def on_canceled(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve as cancelled."""
        self._resolve_end(host, NexusOperationResult(cancelled=_read_failure(event, "was cancelled")))

    def on_timed_out(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve as timed out."""
        self._resolve_end(host, NexusOperationResult(timed_out=_read_failure(event, "timed out")))

    def on_cancel(self, host: MachineHost, reason: str) -> None:
        """Issue the cancel command once, except for ABANDON. ABANDON and TRY_CANCEL resolve at once."""
        if self._is_cancel_sent:
            return
        self._is_cancel_sent = True
        kind = self.attrs.cancellation_type
        if self.state == "Started" and kind in _RESOLVES_AT_ONCE:
            self.state = "Cancelled"  # instead of the table's target, which holds for the WAIT types
        if kind != _ABANDON:
            host.issue_command(self, "request_cancel_nexus_operation")
        if kind in _RESOLVES_AT_ONCE:
            self._resolve_cancelled(host, "Nexus operation cancelled after starting")

    def on_cancel_request_completed(self, host: MachineHost, event: ScheduledReference, event_id: int) -> None:
        """Resolve as cancelled if the workflow waits for the request only."""
        if self.attrs.cancellation_type == _RESOLVES_ON_REQUEST:
            self.state = "Cancelled"
            self._resolve_cancelled(host, "Nexus operation cancellation request completed")

    def on_cancel_request_failed(self, host: MachineHost, event: NexusEvent, event_id: int) -> None:
        """Resolve as failed if the workflow waits for the request only."""
        if self.attrs.cancellation_type == _RESOLVES_ON_REQUEST:
            text = "Nexus operation cancellation request failed"
            cause = failures.read_failure(event.failure) or Failure(message=text)
            self._resolve_end(host, NexusOperationResult(failed=self._build_failure(text, cause)))

    def on_end_after_cancel(self, host: MachineHost, event: NexusEvent, event_id: int) -> Fault | None:
        """Refuse the end for ABANDON and ignore it for the others.

        The message says the opposite: sdk-core has the condition inverted, and a replay must do what it does.
        """
        if self.attrs.cancellation_type != _ABANDON:
            return None
        text = "Nexus operation which don't have the ABANDON cancellation type cannot complete after being cancelled."
        return Fault("nondeterminism", text)

    TABLE = transitions(
        (_SENT, SENT, _SENT),
        (_SENT, "NexusOperationScheduled", _RECORDED, on_scheduled),
        (_SENT, CANCEL, "Cancelled", on_cancel_before_sent),
        (_RECORDED, CANCEL, _RECORDED, on_cancel),
        (_RECORDED, f"{SENT}, {_ASKED}", _RECORDED),
        (_RECORDED, "NexusOperationCompleted", "Completed", on_completed_before_start),
        (_RECORDED, "NexusOperationFailed", "Failed", on_failed_before_start),
        (_RECORDED, "NexusOperationCanceled", "Cancelled", on_canceled_before_start),
        (_RECORDED, "NexusOperationTimedOut", "TimedOut", on_timed_out_before_start),
        (_RECORDED, "NexusOperationStarted", "Started", on_started),
        ("Started", CANCEL, "Started", on_cancel),
        ("Started", f"{SENT}, {_ASKED}", "Started"),
        ("Started", "NexusOperationCompleted", "Completed", on_completed),
        ("Started", "NexusOperationFailed", "Failed", on_failed),
        ("Started", "NexusOperationCanceled", "Cancelled", on_canceled),
        ("Started", "NexusOperationTimedOut", "TimedOut", on_timed_out),
        ("Started", _ANSWERED, "Started", on_cancel_request_completed),
        ("Started", _ANSWER_FAILED, "Started", on_cancel_request_failed),
        ("Cancelled", f"{CANCEL}, {SENT}, {_ASKED}, {_ANSWERED}, {_ANSWER_FAILED}", "Cancelled"),
        ("Cancelled", "NexusOperationCanceled", "Cancelled"),
        ("Cancelled", "NexusOperationCompleted", "Cancelled", on_end_after_cancel),
        ("Cancelled", "NexusOperationFailed", "Cancelled", on_end_after_cancel),
        ("Cancelled", "NexusOperationTimedOut", "Cancelled", on_end_after_cancel),
        *((state, f"{CANCEL}, {_ANSWERED}, {_ANSWER_FAILED}", state) for state in ("Completed", "Failed", "TimedOut")),
    )
