"""The machine of an activity that a worker runs."""

from __future__ import annotations

from typing import Any

from temporalio.bridge.proto.activity_result import ActivityResolution, Cancellation, Failure, Success
from temporalio.bridge.proto.workflow_activation import ResolveActivity, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.sdk_flags import CHECK_IDS_AND_TYPES
from replaytool.engines.temporal.core.state_machines.base import (
    ABANDON,
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transition_table,
)

_ABANDONS = ActivityCancellationType.ABANDON
_TRIES = ActivityCancellationType.TRY_CANCEL
_WAITS = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
_CLOSED = frozenset({"Completed", "Canceled", "Failed", "TimedOut"})


class ActivityMachine(StateMachine):
    """An activity: id and type are compared, arguments and options are not."""

    __slots__ = ()
    NAME = "ActivityMachine"
    REFUSES = "Activity machine does not handle this event: "
    HANDLES = frozenset(
        [
            "ActivityTaskScheduled",
            "ActivityTaskStarted",
            "ActivityTaskCompleted",
            "ActivityTaskFailed",
            "ActivityTaskTimedOut",
            "ActivityTaskCancelRequested",
            "ActivityTaskCanceled",
        ]
    )
    FIRST = "ScheduleCommandCreated"

    def cancel(self, core: MachineHost, reason: str = "") -> Fault | None:
        """Cancelling what is over is not an error."""
        if self.state in _CLOSED:
            return None
        return self._apply_trigger(core, ABANDON if self.attrs.cancellation_type == _ABANDONS else CANCEL)


def _scheduled(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    if not core.flags.requires_check(CHECK_IDS_AND_TYPES, in_last=core.in_last):
        return None
    for what, recorded, produced in (
        ("id", record.activity_id, machine.attrs.activity_id),
        ("type", record.activity_type.name, machine.attrs.activity_type),
    ):
        if recorded != produced:
            text = f"Activity {what} of scheduled event '{recorded}' does not match activity {what} of activity command"
            return Fault("nondeterminism", f"{text} '{produced}'")
    return None


def _resolve(machine: Any, core: MachineHost, result: ActivityResolution) -> None:
    core.queue_job(WorkflowActivationJob(resolve_activity=ResolveActivity(seq=machine.seq, result=result)))


def _resolve_cancelled(machine: Any, core: MachineHost, record: Any = None) -> None:
    cause = failures.build_canceled_failure(record.details if record else None)
    info = {"identity": record.identity if record else "", "retry_state": failures.CANCEL_REQUESTED}
    failure = failures.build_activity_failure("Activity cancelled", machine.attrs, record, cause, **info)
    _resolve(machine, core, ActivityResolution(cancelled=Cancellation(failure=failure)))


def _completed(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    values = record.result
    if values is None:
        _resolve(machine, core, ActivityResolution(completed=Success()))
    elif len(values.payloads) == 1:
        job = WorkflowActivationJob()
        told = job.resolve_activity
        told.seq = machine.seq
        values.payloads[0].write_proto(told.result.completed.result)
        core.queue_job(job)
    else:
        return Fault("fatal", f"Not exactly one payload in activity result ({len(values.payloads)})")
    return None


def _failed(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    info = {"identity": record.identity, "retry_state": failures.read_retry_state(record.retry_state)}
    cause = failures.read_failure(record.failure)
    failure = failures.build_activity_failure("Activity task failed", machine.attrs, record, cause, **info)
    _resolve(machine, core, ActivityResolution(failed=Failure(failure=failure)))


def _timed_out(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    state, cause = failures.read_retry_state(record.retry_state), failures.read_failure(record.failure)
    failure = failures.build_activity_failure(
        "Activity task timed out", machine.attrs, record, cause, retry_state=state
    )
    _resolve(machine, core, ActivityResolution(failed=Failure(failure=failure)))


def _canceled(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    _resolve_cancelled(machine, core, record)


def _unless_told(action: Any) -> Any:
    """Under TRY_CANCEL the workflow was told when it cancelled, and is told nothing more."""

    def act(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
        if machine.attrs.cancellation_type == _TRIES:
            return None
        fault: Fault | None = action(machine, core, record, event_id)
        return fault

    return act


def _cancel_sent(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    core.issue_command(machine, "request_cancel_activity")
    if machine.attrs.cancellation_type != _WAITS:
        _resolve_cancelled(machine, core)


def _dropped(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    machine.is_dropped = True
    _resolve_cancelled(machine, core)


def _abandoned(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
    _resolve_cancelled(machine, core)


def _after_abandon(word: str) -> Any:
    def act(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
        if machine.attrs.cancellation_type == _ABANDONS:
            return None
        text = f"Non-Abandon cancel mode activities cannot be {word} after being cancelled"
        return Fault("nondeterminism", text)

    return act


_SENT, _RECORDED = "ScheduleCommandCreated", "ScheduledEventRecorded"
_CANCELLING, _CANCELLED = "ScheduledActivityCancelCommandCreated", "ScheduledActivityCancelEventRecorded"
_STARTED_CANCELLING, _STARTED_CANCELLED = "StartedActivityCancelCommandCreated", "StartedActivityCancelEventRecorded"

ActivityMachine.TABLE = transition_table(
    (_SENT, SENT, _SENT),
    (_SENT, "ActivityTaskScheduled", _RECORDED, _scheduled),
    (_SENT, f"{CANCEL}, {ABANDON}", "Canceled", _dropped),
    (_RECORDED, "ActivityTaskStarted", "Started"),
    (_RECORDED, "ActivityTaskTimedOut", "TimedOut", _timed_out),
    (_RECORDED, CANCEL, _CANCELLING, _cancel_sent),
    (_RECORDED, ABANDON, "Canceled", _abandoned),
    ("Started", "ActivityTaskCompleted", "Completed", _completed),
    ("Started", "ActivityTaskFailed", "Failed", _failed),
    ("Started", "ActivityTaskTimedOut", "TimedOut", _timed_out),
    ("Started", CANCEL, _STARTED_CANCELLING, _cancel_sent),
    ("Started", ABANDON, "Canceled", _abandoned),
    (_CANCELLING, SENT, _CANCELLING),
    (_CANCELLING, "ActivityTaskCancelRequested", _CANCELLED),
    (_CANCELLED, "ActivityTaskCanceled", "Canceled", _unless_told(_canceled)),
    (_CANCELLED, "ActivityTaskStarted", _STARTED_CANCELLED),
    (_CANCELLED, "ActivityTaskTimedOut", "TimedOut", _unless_told(_timed_out)),
    (_STARTED_CANCELLING, SENT, _STARTED_CANCELLING),
    (_STARTED_CANCELLING, "ActivityTaskCancelRequested", _STARTED_CANCELLED),
    (_STARTED_CANCELLED, "ActivityTaskCompleted", "Completed", _unless_told(_completed)),
    (_STARTED_CANCELLED, "ActivityTaskFailed", "Failed", _unless_told(_failed)),
    (_STARTED_CANCELLED, "ActivityTaskTimedOut", "TimedOut", _unless_told(_timed_out)),
    (_STARTED_CANCELLED, "ActivityTaskCanceled", "Canceled", _unless_told(_canceled)),
    ("Canceled", "ActivityTaskStarted", "Canceled", _after_abandon("started")),
    ("Canceled", "ActivityTaskCompleted", "Canceled", _after_abandon("completed")),
)
