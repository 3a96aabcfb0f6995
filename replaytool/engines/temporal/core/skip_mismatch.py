"""Continue a replay past a mismatch, so that a report can list every mismatch of a run.

A worker stops at the first mismatch, so nothing here changes a verdict. An event that does not match the front of the
queue is matched with a later command that fits, and the commands before that one stay without an event. Events that
match no command are skipped, with everything they caused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.state_machines.base import Fault, StateMachine
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS

if TYPE_CHECKING:
    from replaytool.engines.temporal.core.activations import WorkflowMachines
    from replaytool.engines.temporal.core.command_queue import CommandQueue

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


@dataclass
class MismatchSkipper:
    """The mismatches found so far, and the events that belong to no command."""

    partings: list[SkippedMismatch] = field(default_factory=list)
    orphans: set[int] = field(default_factory=set)
    """Ids of command events that matched no command."""

    def try_to_skip(self, replay: WorkflowMachines, place: int, fault: Fault) -> bool:
        """Skip this event if the replay can continue behind it; return whether it can."""
        kind, event_id = replay.tape.types[place], replay.tape.heads[place].event_id
        said = replay.tape.read_event(place).attributes
        if fault.kind != "nondeterminism" or said is None or kind.startswith("WorkflowTask"):
            return False
        if getattr(said, "of", 0) in self.orphans:
            return True
        refused, replay.line.refused = replay.line.refused, None
        self.partings.append(SkippedMismatch(event_id, fault, refused.command if refused else None, replay.replaying))
        if kind in COMMAND_EVENTS and not self._match_later_command(replay, kind, said, event_id, refused):
            self.orphans.add(event_id)
        return True

    def _match_later_command(self, replay: WorkflowMachines, kind: str, said: Any, event_id: int, refused: Any) -> bool:
        line = replay.line
        if refused is None:
            return False
        if kind in refused.machine.HANDLES:  # the same kind of command under another name or id
            _register_machine(line, event_id, refused.machine)
            return True
        fitting = (at for at, one in enumerate(line.waiting) if kind in one.machine.TABLE[one.machine.state])
        at = next(fitting, None) if kind != _MARKER else None
        if at is None:
            if not line.waiting or line.waiting[0] is not refused:
                line.waiting.appendleft(refused)
            return False
        for _ in range(at):
            line.waiting.popleft()
        machine = line.waiting.popleft().machine
        machine.apply_event(replay, kind, said, event_id)
        _register_machine(line, event_id, machine)
        return True


def _register_machine(line: CommandQueue, event_id: int, machine: StateMachine) -> None:
    if not machine.is_final:
        line.by_event[event_id] = machine
