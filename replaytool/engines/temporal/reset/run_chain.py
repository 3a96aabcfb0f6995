"""The chain of runs of a workflow: continued as new, and without the runs that a reset replaced.

A reset forks a run and ends the newest one. From then on, the base and the runs after it are superseded. Only the
chain that ends in the newest run can be reset, and only its signals are re-applied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from replaytool.engines.temporal.reset.run_facts import RunFacts


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


def build_run_chains(records: Iterable[RunFacts]) -> list[RunChain]:
    """Return one chain for each execution, in order of workflow IDs."""
    by_workflow: defaultdict[tuple[str, str], dict[str, list[RunFacts]]] = defaultdict(dict)
    for one in records:
        workflow = (one.namespace or "", one.workflow_id or one.run_key)
        by_workflow[workflow].setdefault(one.first_run_id or one.run_id or one.run_key, []).append(one)
    made: list[RunChain] = []
    for _, chains in sorted(by_workflow.items()):
        found = sorted((_build_chain(chain) for chain in chains.values()), key=lambda line: line.newest_run.born_at)
        newest = found[-1].newest_run.run_id
        made += [_mark_newer_chain(line, newest if line is not found[-1] else None) for line in found]
    return made


def _mark_newer_chain(line: RunChain, newer: str | None) -> RunChain:
    return replace(line, newer_chain=newer)


def _build_chain(chain: list[RunFacts]) -> RunChain:
    by_id = {one.run_id: one for one in chain}
    newest = max(chain, key=lambda one: (one.born_at, one.last_event_id))
    runs = [newest]
    while (before := by_id.get(runs[0].continued_run_id)) is not None and before not in runs:
        runs.insert(0, before)
    missing = runs[0].continued_run_id
    aside = tuple(one for one in chain if one not in runs)
    return RunChain(tuple(runs), aside, missing)
