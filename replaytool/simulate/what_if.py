"""What if: one run gone on with from a point, with other code or with something changed in what the world said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from replaytool.engines import CodeSpec, Options
from replaytool.engines.temporal.replay.recorded_commands import to_bytes
from replaytool.engines.temporal.simulate.history_edits import HistoryEdits, apply_edits
from replaytool.engines.temporal.simulate.simulation import JOB, Simulation, SimulationRequest
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event, Run
from replaytool.store import RunRow, Store
from replaytool.workers.pool import Limits, Work, do_all


@dataclass(frozen=True, slots=True)
class Question:
    """What to do differently, and what to ask in the end."""

    spec: CodeSpec
    start: int | None = None
    """Go on from the last task completed up to this event; None for just before the first change."""
    edits: HistoryEdits = field(default_factory=HistoryEdits)
    queries: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Answer:
    """What would have been."""

    point: int
    """The completed workflow task from which it goes on."""
    simulation: Simulation


def what_if(store: Store, row: RunRow, question: Question) -> Answer:
    """Simulate it in a child process."""
    run = store.run(row)
    point = _point(run.events, question)
    later = _later(store, row)
    runs = [replace(run, events=apply_edits(run.events, question.edits, point)), *later]
    heads = [replace(one, events=()) for one in runs]
    ask = SimulationRequest(point, reset=False, queries=question.queries)
    argument = {"ask": msgspec.to_builtins(ask), "later": msgspec.to_builtins(heads[1:])}
    history = b"[" + b",".join(to_bytes(one) for one in runs) + b"]"
    work = Work(row.run_key, heads[0], len(history), lambda: history, argument)
    done = do_all(JOB, [work], question.spec, question.options, question.limits)
    return Answer(point, done.found[row.run_key])


def _point(events: Sequence[Event], question: Question) -> int:
    first = question.edits.first_event_id()
    if question.start is None and first is None:
        raise ReplaytoolError("say from where to go on", "give --from EVENT")
    until = question.start if question.start is not None else (first or 1) - 1
    if events and until > events[-1].event_id:
        raise ReplaytoolError(f"the run has no event {until}", f"its events are 1 to {events[-1].event_id}")
    tasks = [event.event_id for event in events if event.event_type == "WorkflowTaskCompleted"]
    found = [task for task in tasks if task <= until]
    if not found:
        known = f"the first is event {tasks[0]}" if tasks else "there is none"
        raise ReplaytoolError(f"no workflow task was completed up to event {until}", known)
    return found[-1]


def _later(store: Store, row: RunRow) -> list[Run]:
    """The runs that it continued as."""
    found: list[Run] = []
    run_id = row.run_id
    while run_id is not None:
        rows = store.runs("continued_run_id = ? AND run_id <> ?", [run_id, run_id], 1)
        if not rows or len(found) >= 100:
            break
        found.append(store.run(rows[0]))
        run_id = rows[0].run_id
    return found
