"""What a plan keeps of a simulation, and the warnings from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from replaytool.model.reset_plan import BLOCK, NOTE, WARN, PlanWarning
from replaytool.model.simulation import Simulation

_TELLS = (
    "state", "exact", "assumed", "stopped", "status", "result", "again", "again_local", "suspect", "waiting", "updates",
    "queries", "varies", "runs",
)  # fmt: skip
_NO_BEGINNING = ("diverged", "failed", "crashed")


def plan_fields_of(found: Simulation) -> dict[str, Any]:
    """Return what a plan keeps of a simulation: the parts that do not depend on who simulates it and when."""
    return {name: getattr(found, name) for name in _TELLS}


def warn_of_simulation(found: Simulation, repeats: Mapping[str, int]) -> Iterator[PlanWarning]:
    """Yield warnings about a simulated reset. `repeats` are the activities that ran after the point."""
    if found.prefix_verdict in _NO_BEGINNING:
        text = (
            f"the events before the point do not replay with this code ({found.prefix_verdict}): {found.prefix_reason}"
        )
        yield PlanWarning("prefix-does-not-replay", BLOCK, text)
        return
    if found.prefix_verdict == "unverified":
        yield PlanWarning(
            "prefix-unverified", WARN, f"cannot verify the events before the point: {found.prefix_reason}"
        )
    if found.task_fails:
        yield PlanWarning("task-would-fail", BLOCK, f"in the simulation {found.stopped}")
    elif found.stopped:
        yield PlanWarning("simulation-stopped", NOTE, f"the simulation stops here: {found.stopped}")
    if found.status == "Failed":
        yield PlanWarning("would-fail", WARN, f"in the simulation the workflow fails: {found.result}")
    if found.stopped is None and found.again != repeats:
        again = ", ".join(f"{name} ({count})" for name, count in found.again.items()) or "none"
        text = f"re-executed in the simulation, unlike after the point in the history: {again}"
        yield PlanWarning("other-activities", NOTE, text)
    if found.suspect:
        kinds = ", ".join(f"{name} ({count})" for name, count in found.suspect.items())
        text = f"the simulation uses results of the bad build, and another build may give other ones: {kinds}"
        yield PlanWarning("results-by-bad-build", NOTE, text)
