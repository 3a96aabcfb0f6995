"""What all state machines share: the transition table, faults, and what a machine may ask of the replay.

A table maps a state and a trigger to the next state and an action, like `fsm!` in sdk-core. Triggers are event types,
`sent` when a command of the machine enters the command queue, and `Cancel` or `Abandon` by the workflow. A trigger
without a row is a fault: a broken history if the machine knows the event type in another state, nondeterminism if not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from google.protobuf.message import Message
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.sdk_flags import ObservedFlags
from replaytool.engines.temporal.events.event_structs import EventPart

SENT = "sent"
CANCEL = "Cancel"
ABANDON = "Abandon"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a replay stops: code and history differ, or the history contradicts itself."""

    kind: Literal["nondeterminism", "fatal"]
    message: str


class MachineHost(Protocol):
    """What a state machine may ask of the replay it belongs to."""

    flags: ObservedFlags
    replaying: bool
    in_last_batch: bool
    """Whether the events being applied are the last of the history."""

    def queue_job(self, job: WorkflowActivationJob) -> None:
        """Queue a job for the next activation."""

    def issue_command(self, machine: StateMachine, kind: str) -> None:
        """Put one more command of this machine into the command queue."""

    def issue_external_cancel(self, child: StateMachine, reason: str) -> None:
        """Put the request to cancel this child workflow into the command queue."""

    def cancel_local_activity(self, seq: int) -> Fault | None:
        """Resolve a cancelled local activity with what the history already records about it."""

    def advance_clock(self, time: int) -> None:
        """Advance the workflow's time; it never goes back."""

    def current_event_time(self) -> int | None:
        """Return the time of the event that is being applied, in nanoseconds."""

    def start_workflow_task(self, started_id: int, time: int) -> None:
        """Start a workflow task: its start time becomes the workflow's time."""


# An action takes (machine, host, event, event id) for an event, and (machine, host, reason) for a cancel. The table
# erases these types; test_state_machines.py checks that each action takes the struct that its event is decoded to.
Action = Callable[..., Fault | None]
Table = dict[str, dict[str, tuple[str, Action | None]]]


def transitions(*rows: tuple[str, str, str] | tuple[str, str, str, Action]) -> Table:
    """Build a table from rows of state, triggers separated by commas, next state, and action."""
    table: Table = {}
    for state, triggers, target, *action in rows:
        for trigger in triggers.split(", "):
            assert trigger not in table.get(state, {}), f"two transitions for {trigger} in state {state}"
            table.setdefault(state, {})[trigger] = (target, action[0] if action else None)
            table.setdefault(target, {})
    return table


class StateMachine:
    """One command of the workflow and what became of it."""

    REFUSES: ClassVar[str]
    """The beginning of sdk-core's message for an event that this machine does not know."""
    FIRST: ClassVar[str]
    TABLE: ClassVar[Table]
    HANDLES: ClassVar[frozenset[str]] = frozenset()
    """Every trigger that the table names in some state."""

    __slots__ = ("attrs", "command", "is_core_made", "is_dropped", "seq", "state")
    attrs: Any
    """The attributes of the command; each machine narrows the type."""

    def __init__(self, command: WorkflowCommand | None, attrs: Message | None = None, seq: int = 0) -> None:
        self.command = command
        self.attrs = attrs
        self.seq = seq
        self.state = self.FIRST
        self.is_dropped = False
        """Cancelled before it was sent: the server never gets the command."""
        self.is_core_made = False
        """Created by sdk-core and not by the workflow's code."""

    def __init_subclass__(cls) -> None:
        cls.HANDLES = frozenset(trigger for rows in cls.TABLE.values() for trigger in rows)

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the command any more."""
        return not self.TABLE[self.state]

    def accepts_event(self, event_type: str) -> bool:
        """Whether an event of this type is legal in the present state."""
        return event_type in self.TABLE[self.state]

    def apply_event(self, host: MachineHost, event_type: str, event: EventPart, event_id: int) -> Fault | None:
        """Apply an event."""
        row = self.TABLE[self.state].get(event_type)
        if row is None:
            return self._refuse_event(event_type, event_id)
        self.state, action = row
        return action(self, host, event, event_id) if action is not None else None

    def _refuse_event(self, event_type: str, event_id: int) -> Fault:
        # As in sdk-core: an event that the machine cannot convert is nondeterminism, a missing transition is fatal.
        if event_type not in self.HANDLES:
            return Fault("nondeterminism", f"{self.REFUSES}HistoryEvent(id: {event_id}, {event_type})")
        return Fault(
            "fatal",
            f"{type(self).__name__} in state {self.state} says the transition is invalid during event "
            f"EventInfo {{ event_id: {event_id}, event_type: {event_type} }}",
        )

    def mark_sent(self, kind: str) -> Fault | None:
        """Note that a command of this machine enters the command queue."""
        row = self.TABLE[self.state].get(SENT)
        if row is None:
            text = f"Unexpected command producing an invalid transition {kind} in state {self.state}"
            return Fault("nondeterminism", text)
        self.state = row[0]
        return None

    def cancel(self, host: MachineHost, reason: str = "") -> Fault | None:
        """Cancel the command for the workflow."""
        return self._apply_trigger(host, CANCEL, reason)

    def _apply_trigger(self, host: MachineHost, trigger: str, reason: str = "") -> Fault | None:
        row = self.TABLE[self.state].get(trigger)
        if row is None:
            return Fault("nondeterminism", "Invalid transition in state machine")
        self.state, action = row
        return action(self, host, reason) if action is not None else None
