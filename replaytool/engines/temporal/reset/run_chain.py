"""The live line of runs of a workflow: what was continued as new, and what a reset put aside.

A reset forks a run and ends the newest one; from then on the base and what followed it are history. Only the line
that leads to the newest run may be reset, and only signals along it come back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from replaytool.engines.temporal.reset.run_facts import Record


@dataclass(frozen=True, slots=True)
class Line:
    """The runs of one workflow, oldest first, that lead to its newest run."""

    runs: tuple[Record, ...]
    superseded: tuple[Record, ...] = ()
    """Runs that a reset put aside."""
    before_missing: str | None = None
    """The id of the run before the oldest, where it is not loaded."""
    newer_chain: str | None = None
    """The newest run of another execution that took the same workflow id later."""
    chosen: Record | None = None
    """The run that a person named, where it was one of the line."""

    @property
    def target(self) -> Record:
        """The run that is meant where a rule does not say which of the line."""
        return self.chosen or self.newest

    @property
    def newest(self) -> Record:
        """The run that is current as far as the histories know."""
        return self.runs[-1]

    def after(self, base: Record) -> tuple[Record, ...]:
        """The runs behind this one."""
        return self.runs[self.runs.index(base) + 1 :]

    def broken_after(self, base: Record) -> tuple[Record, Record] | None:
        """Where a run handed over to another one than the line goes on with: a reset lies between."""
        rest = self.runs[self.runs.index(base) :]
        for one, following in pairwise(rest):
            if one.next_run_id != following.run_id:
                return one, following
        return None


def lines(records: Iterable[Record]) -> list[Line]:
    """One line for each execution chain, in order of the workflow ids."""
    by_workflow: defaultdict[tuple[str, str], dict[str, list[Record]]] = defaultdict(dict)
    for one in records:
        workflow = (one.namespace or "", one.workflow_id or one.run_key)
        by_workflow[workflow].setdefault(one.first_run_id or one.run_id or one.run_key, []).append(one)
    made: list[Line] = []
    for _, chains in sorted(by_workflow.items()):
        found = sorted((_line(chain) for chain in chains.values()), key=lambda line: line.newest.born_at)
        newest = found[-1].newest.run_id
        made += [_marked(line, newest if line is not found[-1] else None) for line in found]
    return made


def _marked(line: Line, newer: str | None) -> Line:
    return replace(line, newer_chain=newer)


def _line(chain: list[Record]) -> Line:
    by_id = {one.run_id: one for one in chain}
    newest = max(chain, key=lambda one: (one.born_at, one.last_event_id))
    runs = [newest]
    while (before := by_id.get(runs[0].continued_run_id)) is not None and before not in runs:
        runs.insert(0, before)
    missing = runs[0].continued_run_id
    aside = tuple(one for one in chain if one not in runs)
    return Line(tuple(runs), aside, missing)
