"""Simulate how one run continues from a point, with other code or with changed events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from replaytool.engines import CodeSpec, Options, engine_of, require_part
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event, Run, encode_history
from replaytool.model.simulation import HistoryEdits, Simulation, SimulationRequest
from replaytool.store import RunRow, Store, filter_runs
from replaytool.workers.pool import WorkerLimits, WorkItem, run_job


@dataclass(frozen=True, slots=True)
class WhatIfQuestion:
    """What to change, and which queries to answer at the end."""

    spec: CodeSpec
    start: int | None = None
    """Continue after the last task completed up to this event; None means just before the first edit."""
    edits: HistoryEdits = field(default_factory=HistoryEdits)
    queries: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    limits: WorkerLimits = field(default_factory=WorkerLimits)


@dataclass(frozen=True, slots=True)
class WhatIfAnswer:
    """The simulated continuation."""

    point: int
    """The completed workflow task from which it continues."""
    simulation: Simulation


def simulate_what_if(store: Store, row: RunRow, question: WhatIfQuestion) -> WhatIfAnswer:
    """Simulate the question in a worker process."""
    engine = engine_of(row.engine)
    simulator = require_part(engine, engine.simulator(), "simulated")
    run = store.read_run(row)
    tasks = [task.event_id for task in engine.record_reader().index_tasks(run.events).all]
    point = _find_start_task(run.events, tasks, question)
    later = _continued_runs(store, row)
    runs = [replace(run, events=simulator.apply_edits(run.events, question.edits, point)), *later]
    heads = [replace(one, events=()) for one in runs]
    ask = SimulationRequest(point, reset=False, queries=question.queries)
    argument = {"ask": msgspec.to_builtins(ask), "later": msgspec.to_builtins(heads[1:])}
    history = b"[" + b",".join(encode_history(one) for one in runs) + b"]"
    work = WorkItem(row.run_key, heads[0], len(history), lambda: history, argument)
    done = run_job(simulator.job, [work], question.spec, question.options, question.limits)
    return WhatIfAnswer(point, done.found[row.run_key])


def simulate_fresh_run(run: Run, spec: CodeSpec, options: Options, limits: WorkerLimits) -> Simulation:
    """Simulate a run from its start, as new code would run it, with the recorded results."""
    engine = engine_of(run.engine)
    simulator = require_part(engine, engine.simulator(), "simulated")
    first = engine.record_reader().index_tasks(run.events).all[0].event_id
    argument = {"ask": msgspec.to_builtins(SimulationRequest(first, reset=True)), "later": []}
    history = b"[" + encode_history(run) + b"]"
    work = WorkItem("fresh", replace(run, events=()), len(history), lambda: history, argument)
    return run_job(simulator.job, [work], spec, options, limits).found["fresh"]


def _find_start_task(events: Sequence[Event], tasks: Sequence[int], question: WhatIfQuestion) -> int:
    first = question.edits.first_event_id()
    if question.start is None and first is None:
        raise ReplaytoolError(
            "the simulation needs a start or an edit", "add --from EVENT", code=ErrorCode.SIMULATE_START
        )
    until = question.start if question.start is not None else (first or 1) - 1
    if events and until > events[-1].event_id:
        raise ReplaytoolError(
            f"the run has no event {until}",
            f"its events are 1 to {events[-1].event_id}",
            code=ErrorCode.STORE_EVENT_UNKNOWN,
        )
    found = [task for task in tasks if task <= until]
    if not found:
        known = f"the first is event {tasks[0]}" if tasks else "there is none"
        raise ReplaytoolError(
            f"no workflow task was completed up to event {until}", known, code=ErrorCode.SIMULATE_NO_TASK
        )
    return found[-1]


def _continued_runs(store: Store, row: RunRow) -> list[Run]:
    """Return the runs that this run continued as."""
    found: list[Run] = []
    run_id = row.run_id
    while run_id is not None:
        rows = store.list_runs(filter_runs(continues=run_id), 1)
        if not rows or len(found) >= 100:
            break
        found.append(store.read_run(rows[0]))
        run_id = rows[0].run_id
    return found
