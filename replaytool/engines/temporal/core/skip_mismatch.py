"""Continue a replay past a mismatch, so that a report can list every mismatch of a run.

A worker stops at the first mismatch, so nothing here changes a verdict. An event that does not match the front of the
queue is matched with a later command that fits, and the commands before that one stay without an event. Events that
match no command are skipped, with everything they caused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.command_queue import CommandQueue, QueueHost
from replaytool.engines.temporal.core.queued_command import QueuedCommand
from replaytool.engines.temporal.core.state_machines.base import Fault, StateMachine
from replaytool.engines.temporal.events.event_structs import EventPart
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS

_MARKER = "MarkerRecorded"


@dataclass(frozen=True, slots=True)
class SkippedMismatch:
    """One mismatch that the replay continued past."""

    event_id: int
    fault: Fault
    command: WorkflowCommand | None
    """The command at the front of the queue."""
    is_told: bool
    """Whether the SDK's replayer would report it; it reports nothing behind the last completed task."""


class SkipHost(QueueHost, Protocol):
    """What skipping asks of the replay it belongs to."""

    queue: CommandQueue


@dataclass
class MismatchSkipper:
    """The mismatches found so far, and the events that belong to no command."""

    skipped: list[SkippedMismatch] = field(default_factory=list)
    orphans: set[int] = field(default_factory=set)
    """Ids of command events that matched no command."""

    def try_to_skip(self, machines: SkipHost, place: int, fault: Fault) -> bool:
        """Skip this event if the replay can continue behind it; return whether it can."""
        history, queue = machines.history, machines.queue
        event_type, event_id = history.types[place], history.heads[place].event_id
        event: EventPart | None = history.read_event(place).attributes
        if fault.kind != "nondeterminism" or event is None or event_type.startswith("WorkflowTask"):
            return False
        if getattr(event, "of", 0) in self.orphans:
            return True
        refused, queue.refused = queue.refused, None
        command = refused.command if refused else None
        self.skipped.append(SkippedMismatch(event_id, fault, command, machines.replaying))
        if event_type in COMMAND_EVENTS:
            machine = self._find_later_machine(queue, event_type, refused) if refused else None
            if machine is None:
                self.orphans.add(event_id)
            elif refused is None or machine is not refused.machine:
                machine.apply_event(machines, event_type, event, event_id)
            if machine is not None and not machine.is_final:
                queue.by_event[event_id] = machine
        return True

    def _find_later_machine(self, queue: CommandQueue, event_type: str, refused: QueuedCommand) -> StateMachine | None:
        """Return the machine of the first command that fits, and drop the commands before it from the queue."""
        if event_type in refused.machine.HANDLES:  # the same kind of command under another name or id
            return refused.machine
        fitting = (at for at, one in enumerate(queue.waiting) if one.machine.accepts_event(event_type))
        at = next(fitting, None) if event_type != _MARKER else None
        if at is None:
            if not queue.waiting or queue.waiting[0] is not refused:
                queue.waiting.appendleft(refused)
            return None
        for _ in range(at):
            queue.waiting.popleft()
        return queue.waiting.popleft().machine
