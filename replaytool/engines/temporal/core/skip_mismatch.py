"""Going on past a mismatch, for who asks for it: what record and code still have in common is matched.

A worker would stop here, so nothing of this changes a verdict. An event that the first command in line does not fit
goes to a later one that it does fit, and what stood before that stays unanswered; an event that no command fits is
passed over, with all that became of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.state_machines.base import Fault, Machine
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS

if TYPE_CHECKING:
    from replaytool.engines.temporal.core.activations import Replay
    from replaytool.engines.temporal.core.command_queue import Line

_MARKER = "MarkerRecorded"


@dataclass(frozen=True, slots=True)
class Parting:
    """One place where the code left the record."""

    event_id: int
    fault: Fault
    command: WorkflowCommand | None
    """What stood first in line."""
    is_told: bool
    """Whether the SDK's replayer would tell of it; past the last completed task it tells of nothing."""


@dataclass
class Astray:
    """What a replay that is not stopped by a mismatch keeps in mind."""

    partings: list[Parting] = field(default_factory=list)
    orphans: set[int] = field(default_factory=set)
    """Events that record what the code did not ask for."""

    def passes(self, replay: Replay, place: int, fault: Fault) -> bool:
        """Whether the replay can go on behind this event."""
        kind, event_id = replay.tape.types[place], replay.tape.heads[place].event_id
        said = replay.tape.record(place).attributes
        if fault.kind != "nondeterminism" or said is None or kind.startswith("WorkflowTask"):
            return False
        if getattr(said, "of", 0) in self.orphans:
            return True
        refused, replay.line.refused = replay.line.refused, None
        self.partings.append(Parting(event_id, fault, refused.command if refused else None, replay.replaying))
        if kind in COMMAND_EVENTS and not self._finds_a_place(replay, kind, said, event_id, refused):
            self.orphans.add(event_id)
        return True

    def _finds_a_place(self, replay: Replay, kind: str, said: Any, event_id: int, refused: Any) -> bool:
        line = replay.line
        if refused is None:
            return False
        if kind in refused.machine.HANDLES:  # it is one of these, by another name
            _keep(line, event_id, refused.machine)
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
        machine.on_event(replay, kind, said, event_id)
        _keep(line, event_id, machine)
        return True


def _keep(line: Line, event_id: int, machine: Machine) -> None:
    if not machine.is_final:
        line.by_event[event_id] = machine
