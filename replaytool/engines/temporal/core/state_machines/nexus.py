"""The machine of a Nexus operation."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.nexus import NexusOperationCancellationType, NexusOperationResult
from temporalio.bridge.proto.workflow_activation import (
    ResolveNexusOperation,
    ResolveNexusOperationStart,
    WorkflowActivationJob,
)

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.sdk_flags import CHECK_NEXUS
from replaytool.engines.temporal.core.state_machines.base import (
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transition_table,
)

_ABANDONS = NexusOperationCancellationType.ABANDON
_AT_ONCE = (_ABANDONS, NexusOperationCancellationType.TRY_CANCEL)
_ON_REQUEST = NexusOperationCancellationType.WAIT_CANCELLATION_REQUESTED


class NexusOperationMachine(StateMachine):
    """A Nexus operation: service and operation are compared where the record was made so."""

    __slots__ = ("is_cancel_sent", "scheduled_event_id", "token")
    NAME = "NexusOperationMachine"
    REFUSES = "Nexus operation machine does not handle this event: "
    HANDLES = frozenset(
        [
            "NexusOperationScheduled",
            "NexusOperationStarted",
            "NexusOperationCompleted",
            "NexusOperationFailed",
            "NexusOperationCanceled",
            "NexusOperationTimedOut",
            "NexusOperationCancelRequested",
            "NexusOperationCancelRequestCompleted",
            "NexusOperationCancelRequestFailed",
        ]
    )
    FIRST = "ScheduleCommandCreated"

    def __init__(self, command: Any = None, attrs: Any = None) -> None:
        super().__init__(command, attrs)
        self.is_cancel_sent = False
        self.scheduled_event_id = 0
        self.token = ""


def _scheduled(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    if core.flags.requires_check(CHECK_NEXUS, in_last=core.in_last):
        for what, of, recorded, produced in (
            ("operation service", "service", record.service, machine.attrs.service),
            ("operation", "operation", record.operation, machine.attrs.operation),
        ):
            if recorded != produced:
                text = f"Nexus {what} of scheduled event '{recorded}' does not match {of} of command '{produced}'"
                return Fault("nondeterminism", text)
    machine.scheduled_event_id = event_id
    return None


def _tell_start(machine: Any, core: MachineHost, **status: Any) -> None:
    job = ResolveNexusOperationStart(seq=machine.seq, **status)
    core.queue_job(WorkflowActivationJob(resolve_nexus_operation_start=job))


def _tell_end(machine: Any, core: MachineHost, **status: Any) -> None:
    job = ResolveNexusOperation(seq=machine.seq, result=NexusOperationResult(**status))
    core.queue_job(WorkflowActivationJob(resolve_nexus_operation=job))


def _failure(record: Any, word: str) -> Failure:
    found = failures.read_failure(record.failure)
    return (
        found if found is not None else Failure(message=f"Nexus operation {word} but failure field was not populated")
    )


def _failed_unstarted(word: str) -> Any:
    def act(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        _tell_start(machine, core, failed=_failure(record, word))

    return act


def _ended(status: str, word: str) -> Any:
    def act(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        _tell_end(machine, core, **{status: _failure(record, word)})

    return act


def _given_up(machine: Any, text: str) -> Failure:
    return failures.build_nexus_failure(text, machine, failures.build_canceled_failure())


def _dropped(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    machine.is_dropped = True
    _tell_start(machine, core, failed=_given_up(machine, "Nexus Operation cancelled before scheduled"))


def _started(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    machine.token = record.operation_token
    _tell_start(machine, core, operation_token=record.operation_token)


def _completed(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    _tell_end(machine, core, completed=record.result.to_proto() if record.result else Payload())


def _completed_at_once(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    _tell_start(machine, core, started_sync=True)
    _completed(machine, core, record, event_id)


def _ask_cancel(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    if machine.is_cancel_sent:
        return
    machine.is_cancel_sent = True
    kind = machine.attrs.cancellation_type
    if machine.state == "Started" and kind in _AT_ONCE:
        machine.state = "Cancelled"
    if kind != _ABANDONS:
        core.issue_command(machine, "request_cancel_nexus_operation")
    if kind in _AT_ONCE:
        _tell_end(machine, core, cancelled=_given_up(machine, "Nexus operation cancelled after starting"))


def _request_done(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    if machine.attrs.cancellation_type == _ON_REQUEST:
        machine.state = "Cancelled"
        _tell_end(machine, core, cancelled=_given_up(machine, "Nexus operation cancellation request completed"))


def _request_failed(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    if machine.attrs.cancellation_type == _ON_REQUEST:
        text = "Nexus operation cancellation request failed"
        cause = failures.read_failure(record.failure)
        failure = failures.build_nexus_failure(text, machine, cause if cause is not None else Failure(message=text))
        _tell_end(machine, core, failed=failure)


def _ended_late(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    """The core has this the wrong way round, and so must we."""
    if machine.attrs.cancellation_type != _ABANDONS:
        return None
    text = "Nexus operation which don't have the ABANDON cancellation type cannot complete after being cancelled."
    return Fault("nondeterminism", text)


_SENT, _RECORDED = "ScheduleCommandCreated", "ScheduledEventRecorded"
_ASKED, _ANSWERED = "NexusOperationCancelRequested", "NexusOperationCancelRequestCompleted"
_ANSWERED_BADLY = "NexusOperationCancelRequestFailed"

NexusOperationMachine.TABLE = transition_table(
    (_SENT, SENT, _SENT),
    (_SENT, "NexusOperationScheduled", _RECORDED, _scheduled),
    (_SENT, CANCEL, "Cancelled", _dropped),
    (_RECORDED, CANCEL, _RECORDED, _ask_cancel),
    (_RECORDED, f"{SENT}, {_ASKED}", _RECORDED),
    (_RECORDED, "NexusOperationCompleted", "Completed", _completed_at_once),
    (_RECORDED, "NexusOperationFailed", "Failed", _failed_unstarted("failed")),
    (_RECORDED, "NexusOperationCanceled", "Cancelled", _failed_unstarted("was cancelled")),
    (_RECORDED, "NexusOperationTimedOut", "TimedOut", _failed_unstarted("timed out")),
    (_RECORDED, "NexusOperationStarted", "Started", _started),
    ("Started", CANCEL, "Started", _ask_cancel),
    ("Started", f"{SENT}, {_ASKED}", "Started"),
    ("Started", "NexusOperationCompleted", "Completed", _completed),
    ("Started", "NexusOperationFailed", "Failed", _ended("failed", "failed")),
    ("Started", "NexusOperationCanceled", "Cancelled", _ended("cancelled", "was cancelled")),
    ("Started", "NexusOperationTimedOut", "TimedOut", _ended("timed_out", "timed out")),
    ("Started", _ANSWERED, "Started", _request_done),
    ("Started", _ANSWERED_BADLY, "Started", _request_failed),
    (
        "Cancelled",
        f"{CANCEL}, {SENT}, {_ASKED}, {_ANSWERED}, {_ANSWERED_BADLY}, NexusOperationCanceled",
        "Cancelled",
    ),
    (
        "Cancelled",
        "NexusOperationCompleted, NexusOperationFailed, NexusOperationTimedOut",
        "Cancelled",
        _ended_late,
    ),
    *((state, f"{CANCEL}, {_ANSWERED}, {_ANSWERED_BADLY}", state) for state in ("Completed", "Failed", "TimedOut")),
)
