"""Simulate the workflows of a plan with the right code, each in a child process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from replaytool.engines import CodeSpec, Options, engine_of, require_part
from replaytool.model.reset_case import HazardCase
from replaytool.model.reset_plan import ResetPlan
from replaytool.model.simulation import Simulation, SimulationRequest
from replaytool.reset.planner import PlanDraft
from replaytool.store import RunRow, Store, filter_runs
from replaytool.store.read_histories import HistoryReader
from replaytool.workers.pool import JobAnswers, WorkerLimits, WorkItem, run_job


@dataclass(frozen=True, slots=True)
class PlanSimulationRequest:
    """With which code to simulate, and how."""

    spec: CodeSpec
    options: Options = field(default_factory=Options)
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    queries: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    """What the resets will not re-apply."""


Progress = Callable[[str], None]


def simulate_draft(
    store: Store,
    made: PlanDraft,
    wanted: PlanSimulationRequest,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> PlanDraft:
    """Return the draft with a simulation of each case; after `stop`, of those that were finished."""
    asks = {case.base.run_key: _question_of_case(case, wanted) for case in made.cases}
    chains = {case.base.run_key: (case.base.run_key, *(run.run_key for run in case.later)) for case in made.cases}
    done = simulate_all(store, asks, chains, wanted, progress, stop)
    code: dict[str, object] = {
        "modules": list(done.code.modules),
        "fingerprint": done.code.fingerprint,
        "workflows": list(wanted.spec.workflows),
        "queries": list(wanted.queries),
    }
    return replace(made, outlook=done.found, code=code)


def _question_of_case(case: HazardCase, wanted: PlanSimulationRequest) -> SimulationRequest:
    statuses = {workflow_id: status for workflow_id, (_, status) in case.children.items()}
    return SimulationRequest(
        case.point.event_id, True, wanted.queries, wanted.exclude, statuses, tuple(sorted(case.bad))
    )


def simulate_plan(
    store: Store, plan: ResetPlan, wanted: PlanSimulationRequest, progress: Progress | None = None
) -> dict[str, Simulation]:
    """Simulate a plan that was written before; return results by item id. Runs that are not loaded are left out."""
    ids = sorted({run_id for item in plan.items for run_id in (item.run_id, *item.undone_runs)})
    keys = {row.run_id: row.run_key for row in store.list_runs(filter_runs(run_ids=ids))}
    items = [item for item in plan.items if all(one in keys for one in (item.run_id, *item.undone_runs))]
    chains = {item.id: tuple(keys[one] for one in (item.run_id, *item.undone_runs)) for item in items}
    bad = tuple(sorted(plan.bad_builds()))
    asks = {
        item.id: SimulationRequest(
            item.point.event_id,
            True,
            wanted.queries,
            wanted.exclude,
            {child.workflow_id: child.state for child in item.children_again},
            bad,
        )
        for item in items
    }
    return simulate_all(store, asks, chains, wanted, progress).found


def simulate_all(
    store: Store,
    asks: Mapping[str, SimulationRequest],
    chains: Mapping[str, Sequence[str]],
    wanted: PlanSimulationRequest,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> JobAnswers[Simulation]:
    """Simulate each question over the runs of its chain."""
    keys = sorted({key for chain in chains.values() for key in chain})
    rows = store.read_runs(keys)
    histories = HistoryReader(store, {key: row.history_bytes for key, row in rows.items()})
    works = [_make_work(store, name, ask, [rows[key] for key in chains[name]], histories) for name, ask in asks.items()]

    def report_progress(key: str, _: Simulation) -> None:
        if progress:
            progress(key)

    engine = engine_of(works[0].run.engine) if works else None
    if engine is None:
        return JobAnswers()
    job = require_part(engine, engine.simulator(), "simulated").job
    return run_job(job, works, wanted.spec, wanted.options, wanted.limits, progress=report_progress, stop=stop)


def _make_work(
    store: Store, name: str, ask: SimulationRequest, rows: Sequence[RunRow], histories: HistoryReader
) -> WorkItem:
    base, *later = [store.read_run(row, with_events=False) for row in rows]

    def read_history() -> bytes:
        return b"[" + b",".join(histories.take_history(row.run_key) for row in rows) + b"]"

    argument = {"ask": msgspec.to_builtins(ask), "later": msgspec.to_builtins(later)}
    return WorkItem(name, base, sum(row.history_bytes for row in rows), read_history, argument)
