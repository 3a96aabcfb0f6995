"""State machines by table: what each command becomes as events arrive, and what the workflow is told meanwhile.

A table maps a state and a trigger to the next state and what is done on the way. Triggers are event types, `Cancel`
and `Abandon` by the workflow itself, and `sent`, when the command is put in line. A trigger without a row is a fault:
of the history where the machine knows this type of event, and a mismatch between history and code where it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob

from replaytool.engines.temporal.core.sdk_flags import ObservedFlags

SENT = "sent"
CANCEL = "Cancel"
ABANDON = "Abandon"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the replay cannot go on: history and code part, or the history contradicts itself."""

    kind: Literal["nondeterminism", "fatal"]
    message: str


class MachineHost(Protocol):
    """What machines may do to the replay that they are part of."""

    flags: ObservedFlags
    replaying: bool
    in_last: bool
    """Whether the events being applied are the last of the history."""

    def queue_job(self, job: WorkflowActivationJob) -> None:
        """Hand the workflow a job with its next activation."""

    def issue_command(self, machine: StateMachine, kind: str) -> None:
        """Put one more command of this machine in line."""

    def cancel_local_activity(self, machine: Any) -> Fault | None:
        """The workflow gives up a local activity: what is known of its end is told."""

    def advance_clock(self, time: int) -> None:
        """The workflow's time moves on, and never back."""

    def issue_external_cancel(self, machine: StateMachine) -> None:
        """Put in line the request to cancel this child, of which the workflow hears no more."""

    def current_event_time(self) -> int | None:
        """When the event being applied was recorded, in nanoseconds."""

    def start_workflow_task(self, started_id: int, time: int) -> Fault | None:
        """A task is under way: its start is the workflow's time."""


Action = Callable[[Any, MachineHost, Any, int], Fault | None]
Row = tuple[str, Action | None]
Table = dict[str, dict[str, Row]]


class StateMachine:
    """One command of the workflow and what became of it."""

    NAME: ClassVar[str]
    REFUSES: ClassVar[str]
    """Begins the core's words for an event that is none of this machine's."""
    HANDLES: ClassVar[frozenset[str]]
    TABLE: ClassVar[Table]
    FIRST: ClassVar[str]

    __slots__ = ("attrs", "command", "is_core_made", "is_dropped", "seq", "state")

    def __init__(self, command: Any = None, attrs: Any = None) -> None:
        self.command = command
        self.attrs = attrs
        self.seq: int = getattr(attrs, "seq", 0)
        self.state = self.FIRST
        self.is_dropped = False
        """Cancelled before it was sent: the server never hears of it."""
        self.is_core_made = False

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to it any more."""
        return not self.TABLE[self.state]

    def apply_event(self, core: MachineHost, event_type: str, record: Any, event_id: int) -> Fault | None:
        """Apply an event."""
        row = self.TABLE[self.state].get(event_type)
        if row is None:
            return self._refuse_event(event_type, event_id)
        self.state = row[0]
        return row[1](self, core, record, event_id) if row[1] is not None else None

    def _refuse_event(self, event_type: str, event_id: int) -> Fault:
        if event_type not in self.HANDLES:
            return Fault("nondeterminism", f"{self.REFUSES}HistoryEvent(id: {event_id}, {event_type})")
        return Fault(
            "fatal",
            f"{self.NAME} in state {self.state} says the transition is invalid during event "
            f"EventInfo {{ event_id: {event_id}, event_type: {event_type} }}",
        )

    def mark_sent(self, core: MachineHost, kind: str) -> Fault | None:
        """Put a command of this machine in line."""
        rows = self.TABLE[self.state]
        row = rows.get(f"{SENT} {kind}") or rows.get(SENT)
        if row is None:
            text = f"Unexpected command producing an invalid transition {kind} in state {self.state}"
            return Fault("nondeterminism", text)
        self.state = row[0]
        return row[1](self, core, None, 0) if row[1] is not None else None

    def cancel(self, core: MachineHost, reason: str = "") -> Fault | None:
        """The workflow no longer wants it."""
        return self._apply_trigger(core, CANCEL, reason)

    def _apply_trigger(self, core: MachineHost, trigger: str, reason: str = "") -> Fault | None:
        row = self.TABLE[self.state].get(trigger)
        if row is None:
            return Fault("nondeterminism", "Invalid transition in state machine")
        self.state = row[0]
        return row[1](self, core, reason, 0) if row[1] is not None else None


def transition_table(*lines: tuple[str, str, str] | tuple[str, str, str, Action]) -> Table:
    """Rows written as state, triggers separated by spaces, next state and action."""
    rows: Table = {}
    for state, triggers, after, *action in lines:
        for trigger in triggers.split(", "):
            rows.setdefault(state, {})[trigger] = (after, action[0] if action else None)
            rows.setdefault(after, {})
    return rows
