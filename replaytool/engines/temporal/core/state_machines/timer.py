"""The state machine of a timer."""

from __future__ import annotations

from temporalio.bridge.proto.workflow_activation import FireTimer, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import StartTimer

from replaytool.engines.temporal.core.state_machines.base import (
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transitions,
)
from replaytool.engines.temporal.events.event_structs import TimerFired


class TimerMachine(StateMachine):
    """A timer. Its duration is never compared, and its id only when it fires."""

    __slots__ = ()
    attrs: StartTimer
    REFUSES = "Timer machine does not handle this event: "
    FIRST = "StartCommandCreated"

    def on_timer_fired(self, host: MachineHost, event: TimerFired, event_id: int) -> Fault | None:
        """Fire the timer, if the event names it."""
        if event.timer_id != str(self.seq):
            text = f"Timer fired event did not have expected timer id {self.seq}, it was {event.timer_id}!"
            return Fault("nondeterminism", text)
        host.queue_job(WorkflowActivationJob(fire_timer=FireTimer(seq=self.seq)))
        return None

    def on_cancel_before_sent(self, host: MachineHost, reason: str) -> None:
        """Drop the command: neither start nor cancel reaches the server."""
        self.is_dropped = True

    def on_cancel(self, host: MachineHost, reason: str) -> None:
        """Issue the cancel command."""
        host.issue_command(self, "cancel_timer")

    TABLE = transitions(
        ("StartCommandCreated", SENT, "StartCommandCreated"),
        ("StartCommandCreated", "TimerStarted", "StartCommandRecorded"),
        ("StartCommandCreated", CANCEL, "Canceled", on_cancel_before_sent),
        ("StartCommandRecorded", "TimerFired", "Fired", on_timer_fired),
        ("StartCommandRecorded", CANCEL, "CancelTimerCommandCreated", on_cancel),
        ("CancelTimerCommandCreated", CANCEL, "CancelTimerCommandCreated"),
        ("CancelTimerCommandCreated", SENT, "CancelTimerCommandSent"),
        # TimerFired has no row from here on: sdk-core stops with a fatal error there, not with nondeterminism.
        ("CancelTimerCommandSent", "TimerCanceled", "Canceled"),
        ("Canceled", CANCEL, "Canceled"),
        ("Fired", CANCEL, "Fired"),
    )
