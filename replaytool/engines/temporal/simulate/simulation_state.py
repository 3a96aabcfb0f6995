"""The state of a simulation, and how a simulated run ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from temporalio.bridge.proto.workflow_commands import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    FailWorkflowExecution,
    UpdateResponse,
)

from replaytool.engines.temporal.core.state_machines.base import StateMachine
from replaytool.engines.temporal.simulate.recorded_results import Match, RecordedResults
from replaytool.model.history import Event

ClosingCommand: TypeAlias = (
    CompleteWorkflowExecution | FailWorkflowExecution | CancelWorkflowExecution | ContinueAsNewWorkflowExecution
)


@dataclass
class SimulationState:
    """What one run of a chain hands to the next."""

    supply: RecordedResults
    now: int
    horizon: int
    """Timers fire until this time, even if no TimerFired is recorded."""
    children: dict[str, str] = field(default_factory=dict)
    """The status of workflows that may hold the ID of a child."""
    inbox: list[Event] = field(default_factory=list)
    """Signals, updates and cancel requests, by their recorded time."""
    is_reset: bool = True
    """Whether recorded delays count from the present. If false, results come at their recorded time."""
    exact: int = 0
    assumed: int = 0
    again: Counter[str] = field(default_factory=Counter)
    inputs: dict[str, dict[str, int]] = field(default_factory=dict)
    """Re-executed activities, by type: how many with the same input as recorded, and how many with another one."""
    again_local: Counter[str] = field(default_factory=Counter)
    suspect: Counter[str] = field(default_factory=Counter)
    """Activities whose result came from a bad build."""
    sent: list[tuple[str, StateMachine]] = field(default_factory=list)
    """All commands that the server received, by kind."""
    answers: list[UpdateResponse] = field(default_factory=list)
    """The answers of the code to updates."""
    steps: int = 0

    def count_rerun(self, kind: str, match: Match | None) -> None:
        """Count a re-executed activity. `match` is None if no activity of this name is recorded."""
        self.again[kind] += 1
        if match is not None:
            counts = self.inputs.setdefault(kind, {"same": 0, "changed": 0})
            counts["same" if match == "exact" else "changed"] += 1


@dataclass(frozen=True, slots=True)
class SimulationEnd:
    """How one run ended, or where it stands."""

    status: str = "Running"
    command: ClosingCommand | None = None
    """The command that closed the run."""
    stopped: str | None = None
    waiting: tuple[str, ...] = ()
