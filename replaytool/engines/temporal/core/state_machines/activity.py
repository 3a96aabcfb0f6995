"""The state machine of an activity that a worker runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from temporalio.bridge.proto.activity_result import ActivityResolution, Cancellation, Failure, Success
from temporalio.bridge.proto.workflow_activation import ResolveActivity, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType, ScheduleActivity

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.sdk_flags import CHECK_IDS_AND_TYPES
from replaytool.engines.temporal.core.state_machines.base import (
    ABANDON,
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transitions,
)
from replaytool.engines.temporal.events.event_structs import (
    ActivityClosed,
    ActivityCompleted,
    ActivityScheduled,
    EventPart,
    ScheduledReference,
)

_ABANDON = ActivityCancellationType.ABANDON
_TRY_CANCEL = ActivityCancellationType.TRY_CANCEL
_WAIT = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
_CLOSED = frozenset({"Completed", "Canceled", "Failed", "TimedOut"})
_SENT, _RECORDED = "ScheduleCommandCreated", "ScheduledEventRecorded"
_CANCELLING, _CANCELLED = "ScheduledActivityCancelCommandCreated", "ScheduledActivityCancelEventRecorded"
_STARTED_CANCELLING, _STARTED_CANCELLED = "StartedActivityCancelCommandCreated", "StartedActivityCancelEventRecorded"

E = TypeVar("E", bound=EventPart)
_Action = Callable[["ActivityMachine", MachineHost, E, int], Fault | None]


def unless_try_cancel(action: _Action[E]) -> _Action[E]:
    """Wrap an action that resolves: with TRY_CANCEL, the cancel itself resolved the activity already."""

    def resolve_once(machine: ActivityMachine, host: MachineHost, event: E, event_id: int) -> Fault | None:
        return None if machine.attrs.cancellation_type == _TRY_CANCEL else action(machine, host, event, event_id)

    resolve_once.__annotations__ = action.__annotations__
    return resolve_once


class ActivityMachine(StateMachine):
    """An activity. Its id and type are compared; arguments and options are not."""

    __slots__ = ()
    attrs: ScheduleActivity
    REFUSES = "Activity machine does not handle this event: "
    FIRST = _SENT

    def cancel(self, host: MachineHost, reason: str = "") -> Fault | None:
        """Cancel the activity; nothing happens if it has ended."""
        if self.state in _CLOSED:
            return None
        return self._apply_trigger(host, ABANDON if self.attrs.cancellation_type == _ABANDON else CANCEL)

    def on_scheduled(self, host: MachineHost, event: ActivityScheduled, event_id: int) -> Fault | None:
        """Compare the id, then the type."""
        if not host.flags.requires_check(CHECK_IDS_AND_TYPES, in_last=host.in_last_batch):
            return None
        for what, recorded, produced in (
            ("id", event.activity_id, self.attrs.activity_id),
            ("type", event.activity_type.name, self.attrs.activity_type),
        ):
            if recorded != produced:
                text = f"Activity {what} of scheduled event '{recorded}' does not match activity {what} of activity"
                return Fault("nondeterminism", f"{text} command '{produced}'")
        return None

    def _resolve(self, host: MachineHost, result: ActivityResolution) -> None:
        host.queue_job(WorkflowActivationJob(resolve_activity=ResolveActivity(seq=self.seq, result=result)))

    def _resolve_cancelled(self, host: MachineHost, event: ActivityClosed | None = None) -> None:
        failure = failures.build_activity_failure(
            "Activity cancelled",
            self.attrs,
            event,
            failures.build_canceled_failure(event.details if event else None),
            failures.CANCEL_REQUESTED,
            event.identity if event else "",
        )
        self._resolve(host, ActivityResolution(cancelled=Cancellation(failure=failure)))

    def on_completed(self, host: MachineHost, event: ActivityCompleted, event_id: int) -> Fault | None:
        """Resolve with the only payload; the result is unset where the event has none."""
        values = event.result
        if values is None:
            self._resolve(host, ActivityResolution(completed=Success()))
        elif len(values.payloads) == 1:
            # written in place: every message put into another one is copied, and results are large and many
            job = WorkflowActivationJob()
            resolved = job.resolve_activity
            resolved.seq = self.seq
            values.payloads[0].write_proto(resolved.result.completed.result)
            host.queue_job(job)
        else:
            return Fault("fatal", f"Not exactly one payload in activity result ({len(values.payloads)})")
        return None

    def _resolve_failed(self, host: MachineHost, message: str, event: ActivityClosed, identity: str = "") -> None:
        state, cause = failures.read_retry_state(event.retry_state), failures.read_failure(event.failure)
        failure = failures.build_activity_failure(message, self.attrs, event, cause, state, identity)
        self._resolve(host, ActivityResolution(failed=Failure(failure=failure)))

    def on_failed(self, host: MachineHost, event: ActivityClosed, event_id: int) -> None:
        """Resolve as failed."""
        self._resolve_failed(host, "Activity task failed", event, event.identity)

    def on_timed_out(self, host: MachineHost, event: ActivityClosed, event_id: int) -> None:
        """Resolve as failed; sdk-core sets no identity here."""
        self._resolve_failed(host, "Activity task timed out", event)

    def on_canceled(self, host: MachineHost, event: ActivityClosed, event_id: int) -> None:
        """Resolve as cancelled, with the recorded details."""
        self._resolve_cancelled(host, event)

    def on_cancel(self, host: MachineHost, reason: str) -> None:
        """Issue the cancel command; TRY_CANCEL resolves at once, WAIT_CANCELLATION_COMPLETED waits for the event."""
        host.issue_command(self, "request_cancel_activity")
        if self.attrs.cancellation_type != _WAIT:
            self._resolve_cancelled(host)

    def on_cancel_before_sent(self, host: MachineHost, reason: str) -> None:
        """Drop the command and resolve as cancelled."""
        self.is_dropped = True
        self._resolve_cancelled(host)

    def on_abandon(self, host: MachineHost, reason: str) -> None:
        """Resolve as cancelled, without any command."""
        self._resolve_cancelled(host)

    def _ignore_if_abandoned(self, word: str) -> Fault | None:
        if self.attrs.cancellation_type == _ABANDON:
            return None
        text = f"Non-Abandon cancel mode activities cannot be {word} after being cancelled"
        return Fault("nondeterminism", text)

    def on_started_after_cancel(self, host: MachineHost, event: ScheduledReference, event_id: int) -> Fault | None:
        """Ignore the start of an abandoned activity."""
        return self._ignore_if_abandoned("started")

    def on_completed_after_cancel(self, host: MachineHost, event: ActivityCompleted, event_id: int) -> Fault | None:
        """Ignore the result of an abandoned activity."""
        return self._ignore_if_abandoned("completed")

    TABLE = transitions(
        (_SENT, SENT, _SENT),
        (_SENT, "ActivityTaskScheduled", _RECORDED, on_scheduled),
        (_SENT, f"{CANCEL}, {ABANDON}", "Canceled", on_cancel_before_sent),
        (_RECORDED, "ActivityTaskStarted", "Started"),
        (_RECORDED, "ActivityTaskTimedOut", "TimedOut", on_timed_out),
        (_RECORDED, CANCEL, _CANCELLING, on_cancel),
        (_RECORDED, ABANDON, "Canceled", on_abandon),
        ("Started", "ActivityTaskCompleted", "Completed", on_completed),
        ("Started", "ActivityTaskFailed", "Failed", on_failed),
        ("Started", "ActivityTaskTimedOut", "TimedOut", on_timed_out),
        ("Started", CANCEL, _STARTED_CANCELLING, on_cancel),
        ("Started", ABANDON, "Canceled", on_abandon),
        # Until the cancel command is recorded, any other event is fatal in sdk-core, even ActivityTaskStarted.
        (_CANCELLING, SENT, _CANCELLING),
        (_CANCELLING, "ActivityTaskCancelRequested", _CANCELLED),
        (_CANCELLED, "ActivityTaskCanceled", "Canceled", unless_try_cancel(on_canceled)),
        (_CANCELLED, "ActivityTaskStarted", _STARTED_CANCELLED),
        (_CANCELLED, "ActivityTaskTimedOut", "TimedOut", unless_try_cancel(on_timed_out)),
        (_STARTED_CANCELLING, SENT, _STARTED_CANCELLING),
        (_STARTED_CANCELLING, "ActivityTaskCancelRequested", _STARTED_CANCELLED),
        (_STARTED_CANCELLED, "ActivityTaskCompleted", "Completed", unless_try_cancel(on_completed)),
        (_STARTED_CANCELLED, "ActivityTaskFailed", "Failed", unless_try_cancel(on_failed)),
        (_STARTED_CANCELLED, "ActivityTaskTimedOut", "TimedOut", unless_try_cancel(on_timed_out)),
        (_STARTED_CANCELLED, "ActivityTaskCanceled", "Canceled", unless_try_cancel(on_canceled)),
        # Failed, TimedOut and Canceled after ABANDON have no row: they are fatal in sdk-core, and so here.
        ("Canceled", "ActivityTaskStarted", "Canceled", on_started_after_cancel),
        ("Canceled", "ActivityTaskCompleted", "Canceled", on_completed_after_cancel),
    )
