"""A simulation: what was asked, and what the run becomes. Plain values; an engine makes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

TASK_FAILS = "a workflow task fails: "


@dataclass(frozen=True)
class Decision:
    """A command of the code."""

    kind: str
    name: str
    value: object = None
    event_id: int | None = None
    """The event that records it."""


@dataclass(frozen=True)
class DecisionChange:
    """A difference between recorded and simulated decisions. One side is None if the decision is missing there."""

    recorded: Decision | None
    simulated: Decision | None


@dataclass(frozen=True)
class SimulationRequest:
    """What to simulate."""

    point: int
    """The completed workflow task that is undone, with everything after it."""
    reset: bool = True
    """Whether to simulate a reset. If false, the run goes on as recorded, except for the edits."""
    queries: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    """What the reset does not re-apply."""
    children: dict[str, str] = field(default_factory=dict)
    """The status of the workflows whose IDs its children use."""
    bad_builds: tuple[str, ...] = ()
    """Builds whose results are suspect."""
    prefix: bool = True
    """Whether to judge the events before the point too."""
    where: str | None = None
    """An expression to evaluate on the final state."""


@dataclass(frozen=True)
class Simulation:
    """The simulated outcome of a run."""

    state: dict[str, Any] | None = None
    """The workflow's final attributes; None without a workflow object."""
    exact: int = 0
    """Commands that got the recorded result of the same name and input."""
    assumed: int = 0
    """Commands that got the recorded result of the same name but another input."""
    stopped: str | None = None
    """Why the simulation could not go on."""
    status: str = "Running"
    result: object = None
    again: dict[str, int] = field(default_factory=dict)
    """Activities that would be executed again, by type."""
    inputs: dict[str, dict[str, int]] | None = None
    """How many of these have the same input as recorded, and how many another one. None if nothing was simulated."""
    again_local: dict[str, int] = field(default_factory=dict)
    suspect: dict[str, int] = field(default_factory=dict)
    """Activities whose recorded result came from a bad build: the real result may differ."""
    waiting: list[str] = field(default_factory=list)
    """Timers that are still running."""
    updates: dict[str, Any] = field(default_factory=dict)
    """Updates with another answer than recorded."""
    queries: dict[str, Any] = field(default_factory=dict)
    varies: list[str] = field(default_factory=list)
    """Attributes that depend on random numbers: the seed is the new run's ID, which nobody knows yet."""
    runs: int = 1
    """The number of runs in the chain; more than one after continue-as-new."""
    prefix_verdict: str | None = None
    prefix_reason: str = ""
    changes: list[DecisionChange] = field(default_factory=list)
    same: int = 0
    """The number of decisions that are as recorded."""
    holds: bool | None = None
    """Whether the expression holds at the end."""
    seconds: float = 0.0

    @property
    def task_fails(self) -> bool:
        """Return whether the simulation stopped because the code fails."""
        return bool(self.stopped) and str(self.stopped).startswith(TASK_FAILS)


EVENT_EDIT = re.compile(r"event:(\d+)")


INSERT_EDIT = re.compile(r"(signal|update|cancel)(?::([^@=]+))?(?:@(\d+))?(?:=(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HistoryEdits:
    """All edits of one history."""

    set: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    insert: tuple[str, ...] = ()

    def first_event_id(self) -> int | None:
        """Return the earliest event that an edit names, or None."""
        found = [int(one[1]) for text in (*self.set, *self.drop) if (one := EVENT_EDIT.match(text))]
        found += [int(one[3]) for text in self.insert if (one := INSERT_EDIT.fullmatch(text)) and one[3]]
        return min(found, default=None)
