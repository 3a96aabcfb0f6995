"""The chain of runs of a workflow: continued as new, and without the runs that a reset replaced.

A reset forks a run and ends the newest one. From then on, the base and the runs after it are superseded. Only the
chain that ends in the newest run can be reset, and only its signals are re-applied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from replaytool.model.reset_case import RunChain
from replaytool.model.run_facts import RunFacts


def build_run_chains(records: Iterable[RunFacts]) -> list[RunChain]:
    """Return one chain for each execution, in order of workflow IDs."""
    by_workflow: defaultdict[tuple[str, str], dict[str, list[RunFacts]]] = defaultdict(dict)
    for one in records:
        workflow = (one.namespace or "", one.workflow_id or one.run_key)
        # The first run's ID survives resets and continue-as-new. Another one means that the workflow ID was used again.
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
    # Not by the time of event 1: a reset run has copied it from its base.
    newest = max(chain, key=lambda one: (one.born_at, one.last_event_id))
    runs = [newest]
    while (before := by_id.get(runs[0].continued_run_id)) is not None and before not in runs:
        runs.insert(0, before)
    missing = runs[0].continued_run_id
    aside = tuple(one for one in chain if one not in runs)
    return RunChain(tuple(runs), aside, missing)
