"""One workflow while a reset of it is planned: the rule, its runs, the point, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from replaytool.model.reset_plan import ResetPoint
from replaytool.model.run_facts import (
    RunChild,
    RunFacts,
)
from replaytool.model.token_usage import TokenUsage


@dataclass(frozen=True, slots=True)
class ResetRule:
    """A rule for the point, as a person gave it. `kind` is a row of RULES."""

    kind: str
    value: str = ""
    ordinal: int = 1
    tasks_only: bool = False
    """Whether to ignore what a build did to activities only."""
    points: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Points that only a replay can find, by run key."""
    troubles: Mapping[str, str] = field(default_factory=dict, compare=False)

    def as_object(self) -> dict[str, object]:
        """Return the rule as a plan records it."""
        more: dict[str, object] = {"entry": self.ordinal} if self.ordinal != 1 else {}
        return {self.kind: self.value or True} | more | ({"tasks_only": True} if self.tasks_only else {})


@dataclass(frozen=True, slots=True)
class RunChain:
    """The runs of one workflow that lead to its newest run, oldest first."""

    runs: tuple[RunFacts, ...]
    superseded: tuple[RunFacts, ...] = ()
    """Runs that a reset replaced."""
    before_missing: str | None = None
    """The ID of the run before the oldest, if that run is not loaded."""
    newer_chain: str | None = None
    """The newest run of another execution that took the same workflow ID later."""
    chosen: RunFacts | None = None
    """The run that a person named, if it is in the chain."""

    @property
    def target_run(self) -> RunFacts:
        """The run that a rule means if it names none."""
        return self.chosen or self.newest_run

    @property
    def newest_run(self) -> RunFacts:
        """The newest run of the chain, as far as the store knows."""
        return self.runs[-1]

    def runs_after(self, base: RunFacts) -> tuple[RunFacts, ...]:
        """Return the runs after this one."""
        return self.runs[self.runs.index(base) + 1 :]

    def find_break_after(self, base: RunFacts) -> tuple[RunFacts, RunFacts] | None:
        """Return two runs of the chain between which a reset lies: the first names another run as its successor."""
        rest = self.runs[self.runs.index(base) :]
        for one, following in pairwise(rest):
            if one.next_run_id != following.run_id:
                return one, following
        return None


_RANDOM = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?:_\d+)?")


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of one reset."""

    undone_events: int
    undone_runs: tuple[str, ...]
    reapplied: dict[str, int]
    repeats: dict[str, int]
    repeats_local: dict[str, int]
    spent: tuple[tuple[str, TokenUsage], ...]
    """Tokens that re-executed activities spent, as far as results report them, with the activity type."""
    pending_activities: dict[str, int]
    failed_by_reset: tuple[str, ...]
    """Activities that started before the point and did not close there: the server fails them in the new run."""
    updates_may_change: tuple[str, ...]
    children_again: tuple[RunChild, ...]
    children_pending: tuple[RunChild, ...]
    cancels_lost: int
    externals_again: tuple[str, ...]
    nexus_again: tuple[str, ...]
    later_signals: int
    """Signals and updates of later runs: the earlier run gets all of them at once."""


def has_random_id(child: RunChild, parent: RunFacts) -> bool:
    """Return whether the SDK generated the child's ID: the reset run generates another one."""
    if _RANDOM.fullmatch(child.workflow_id):
        return True
    # The Go SDK names a child RUN-ID_NUMBER; the Python SDK takes a random UUID.
    return any(child.workflow_id.startswith(f"{run}_") for run in _known_run_ids(parent))


def _known_run_ids(parent: RunFacts) -> set[str]:
    return {one for one in (parent.run_id, parent.first_run_id, *(reset.base_run_id for reset in parent.resets)) if one}


@dataclass(frozen=True, slots=True)
class HazardCase:
    """One workflow that may be reset."""

    rule: ResetRule
    line: RunChain
    base: RunFacts
    later: tuple[RunFacts, ...]
    point: ResetPoint
    effects: Effects
    bad: frozenset[str]
    """Builds that must not get the workflow again."""
    children: Mapping[str, tuple[str | None, str]]
    """Run ID and status of the newest known run of each child's workflow ID."""

    def with_children(self, children: Mapping[str, tuple[str | None, str]]) -> HazardCase:
        """Return the case with what is known of the children."""
        return replace(self, children=children)

    @property
    def is_running(self) -> bool:
        """Return whether the reset would end a running run."""
        return self.line.newest_run.status == "Running"


def find_child_state(case: HazardCase, child: RunChild) -> str:
    """Return the child's status: its outcome as the parent recorded it, else the status of its newest known run."""
    run_id, status = case.children.get(child.workflow_id, (None, child.outcome))
    return child.outcome if child.closed and run_id in (None, child.run_id) else status
