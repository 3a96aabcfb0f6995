"""What is around a run that goes on past its record, and how such a run ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from replaytool.engines.temporal.core.state_machines.base import Machine
from replaytool.engines.temporal.simulate.recorded_results import Match, Supply
from replaytool.model.history import Event

TASK_FAILS = "a workflow task fails: "


@dataclass
class World:
    """What stays from one run of a chain to the next."""

    supply: Supply
    now: int
    horizon: int
    """Until when timers fire that nobody has seen fire."""
    children: dict[str, str] = field(default_factory=dict)
    """How workflows stand that a child's id may be in the way of."""
    inbox: list[Event] = field(default_factory=list)
    """What comes from outside, by its recorded time."""
    is_reset: bool = True
    """The world's answers count from now on; else at the time at which they came."""
    exact: int = 0
    assumed: int = 0
    again: Counter[str] = field(default_factory=Counter)
    inputs: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of activities that run again: by type, how many with the same input as recorded, and with a changed one."""
    again_local: Counter[str] = field(default_factory=Counter)
    suspect: Counter[str] = field(default_factory=Counter)
    """Activities whose answer a bad build had given."""
    sent: list[tuple[str, Machine]] = field(default_factory=list)
    """All that the server was asked for, by its kind."""
    answers: list[Any] = field(default_factory=list)
    """What the code said to updates."""
    steps: int = 0

    def run_again(self, kind: str, match: Match | None) -> None:
        """Count an activity; without a match the record has none that it could be compared with."""
        self.again[kind] += 1
        if match is not None:
            counts = self.inputs.setdefault(kind, {"same": 0, "changed": 0})
            counts["same" if match == "exact" else "changed"] += 1


@dataclass(frozen=True, slots=True)
class End:
    """How one run ended, or where it stands."""

    status: str = "Running"
    command: Any = None
    """The one that closed the run."""
    stopped: str | None = None
    waiting: tuple[str, ...] = ()
