"""Comparing a plan with what came of it: what the server's histories say, and not what the ledger hopes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from replaytool.engines.temporal.events.payloads import PayloadDecoder
from replaytool.engines.temporal.reset.effects import compute_effects
from replaytool.engines.temporal.reset.first_task import FirstTask, find_first_task
from replaytool.engines.temporal.reset.run_facts import RunFacts
from replaytool.engines.temporal.reset.server_calls import ResetClient, ResetSettings, has_reset_token
from replaytool.engines.temporal.server.options import ServerOptions
from replaytool.model.history import Run
from replaytool.model.reset_plan import DONE, Outcome, ResetItem, ResetPlan
from replaytool.reset.apply import taken
from replaytool.reset.apply_item import Steps
from replaytool.reset.simulate_plan import Wanted
from replaytool.reset.simulation_check import answered_otherwise, held_otherwise, incomparable, ran_otherwise
from replaytool.store.ledger import Ledger, beside

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent

_AT_ONCE = 10
_BACK = {
    "workflow_execution_signaled_event_attributes": "signals",
    "workflow_execution_update_admitted_event_attributes": "updates",
    "workflow_execution_options_updated_event_attributes": "options",
}


@dataclass(frozen=True, slots=True)
class Verified:
    """What happened to one workflow, and where that is not what was planned."""

    item: ResetItem
    state: str
    new_run_id: str | None = None
    status: str | None = None
    """Of the workflow's newest run."""
    reapplied: dict[str, int] = field(default_factory=dict)
    ran_again: dict[str, int] = field(default_factory=dict)
    """Activities that ran in the new run behind the point, by type."""
    task: FirstTask | None = None
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    run: Run | None = None
    """The newest run, where what it holds has to be what was simulated."""


def verify(
    path: Path,
    plan: ResetPlan,
    options: ServerOptions,
    allow: frozenset[str] = frozenset(),
    seen: Callable[[Verified], None] = lambda one: None,
    decoder: PayloadDecoder | None = None,
    wanted: Wanted | None = None,
) -> list[Verified]:
    """Look at every workflow of the plan on the server; with code, at what it holds there too."""
    ledger = Ledger(beside(path))
    how = Comparing(allow, seen, decoder or PayloadDecoder())
    found = asyncio.run(_verified(plan, options, ledger.outcomes(plan.id), ledger.options(plan.id) or {}, how))
    runs = {one.item.id: one.run for one in found if one.run is not None}
    if wanted is None or not runs:
        return found
    held = held_otherwise(runs, {item.id: item for item in plan.items}, wanted)
    return [replace(one, differences=(*one.differences, *held.get(one.item.id, ()))) for one in found]


@dataclass(frozen=True, slots=True)
class Comparing:
    """What the comparison goes by."""

    allow: frozenset[str]
    seen: Callable[[Verified], None]
    decoder: PayloadDecoder


async def _verified(
    plan: ResetPlan,
    options: ServerOptions,
    outcomes: dict[str, Outcome],
    applied: dict[str, object],
    comparing: Comparing,
) -> list[Verified]:
    server = await ResetClient.connect_to_server(options)
    how = _how(applied)
    allow = comparing.allow or frozenset(_texts(applied.get("allow")))
    looking = _Looking(server, plan, how, outcomes, allow, comparing.decoder)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: ResetItem) -> Verified:
        async with gate:
            found = await looking.at(item)
        comparing.seen(found)
        return found

    return list(await asyncio.gather(*(one(item) for item in taken(plan, how))))


def _how(applied: dict[str, object]) -> ResetSettings:
    """How the plan was applied the last time."""
    pin = _texts(applied.get("pin"))
    return ResetSettings("", _texts(applied.get("exclude")), (pin[0], pin[1]) if len(pin) == 2 else None)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class _Looking:
    server: ResetClient
    plan: ResetPlan
    how: ResetSettings
    outcomes: dict[str, Outcome]
    allow: frozenset[str]
    decoder: PayloadDecoder

    async def at(self, item: ResetItem) -> Verified:
        outcome = self.outcomes.get(item.id)
        state = outcome.state if outcome else "not applied"
        new_run = outcome.new_run_id if outcome else None
        new_run = new_run or await self._steps().found(item)
        if new_run is None:
            why = f": {outcome.message}" if outcome and outcome.message else ""
            return Verified(item, state, differences=(f"it was not reset ({state}{why})",))
        return await self._compared(item, DONE if state == "not applied" else state, new_run)

    def _steps(self) -> Steps:
        async def nothing(entry: Outcome | None = None) -> None:
            return None

        return Steps(
            self.server, self.plan, self.how, nothing, nothing, lambda: False, lambda: None, asyncio.Semaphore(), 0.0
        )

    async def _compared(self, item: ResetItem, state: str, new_run: str) -> Verified:
        events = await self.server.fetch_events(item.workflow_id, new_run)
        at_point = next((event for event in events if event.event_id == item.point.event_id), None)
        if not has_reset_token(at_point, self.plan.token(item)):
            wrong = f"run {new_run} has no reset with our token at event {item.point.event_id}"
            return Verified(item, state, new_run, differences=(wrong,))
        current = await self.server.describe_run(item.workflow_id)
        base = await self.server.describe_run(item.workflow_id, item.run_id)
        task = find_first_task(events, item.point.event_id)
        back = reapplied(events, item.point.event_id)
        differences, notes = self._task_differences(task), []
        if base is not None and base.reset_run_id not in (None, new_run):
            differences.append(f"its base was reset once more, to run {base.reset_run_id}")
        if current is not None and current.status in ("Failed", "TimedOut", "Terminated"):
            differences.append(f"its newest run is {current.status}")
        expected = await self._expected(item)
        if expected is None:
            notes.append("the base run is gone: what came back is compared with the plan alone")
        wanted = expected or _without(item.reapplied, self.how)
        differences += [
            f"{name} that came back: {back.get(name, 0)}, and not {count}"
            for name, count in wanted.items()
            if name in ("signals", "updates", "options") and back.get(name, 0) != count
        ]
        if task is not None and task.tries > 1:
            notes.append(f"its first task was given out {task.tries} times")
        if expected is not None:
            notes += _grown(expected, _without(item.reapplied, self.how))
        status = current.status if current else None
        planned = _without(item.reapplied, self.how)
        grown = expected is not None and any(expected[name] > planned[name] for name in ("signals", "updates"))
        found = Verified(item, state, new_run, status, back, _ran(events, item), task, tuple(differences), tuple(notes))
        return await self._foreseen(found, events, current.run_id if current else new_run, grown=grown)

    async def _foreseen(self, found: Verified, events: list[HistoryEvent], current: str, *, grown: bool) -> Verified:
        """The same, with where it is not what was simulated."""
        item = found.item
        later = [] if current == found.new_run_id else await self.server.fetch_events(item.workflow_id, current)
        why = incomparable(item, events, later, grown=grown)
        if why is not None:
            more = () if item.simulation is None else (f"not compared with the simulation: {why}",)
            return replace(found, notes=(*found.notes, *more))
        differences, notes = await answered_otherwise(self.server, item, self.decoder)
        differences += ran_otherwise(item, found.ran_again)
        return replace(
            found,
            differences=(*found.differences, *differences),
            notes=(*found.notes, *notes),
            run=await self.server.fetch_run(item.workflow_id, current),
        )

    def _task_differences(self, task: FirstTask | None) -> list[str]:
        if task is None:
            return ["no worker has completed its first task after the reset yet"]
        trouble = task.describe_problem(self.plan.bad_builds(), self.allow)
        return [trouble] if trouble else []

    async def _expected(self, item: ResetItem) -> dict[str, int] | None:
        """What had to come back by the base's history as it ended, which may be longer than the planned one."""
        records: list[RunFacts] = []
        for run_id in (item.run_id, *item.undone_runs):
            if await self.server.describe_run(item.workflow_id, run_id) is None:
                return None
            records.append(await self.server.fetch_run_facts(item.workflow_id, run_id))
        found = compute_effects(records[0], records[1:], item.point.event_id).reapplied
        return _with_pin(_without(found, self.how), self.how)


def _without(counts: dict[str, int], how: ResetSettings) -> dict[str, int]:
    return {name: 0 if name in how.exclude else count for name, count in counts.items()}


def _with_pin(counts: dict[str, int], how: ResetSettings) -> dict[str, int]:
    """A pin is an option update of its own."""
    return counts | {"options": counts.get("options", 0) + (1 if how.pin else 0)}


def _grown(expected: dict[str, int], planned: dict[str, int]) -> list[str]:
    return [
        f"{expected[name] - count} more {name} had come until the reset than when it was planned"
        for name, count in planned.items()
        if name in ("signals", "updates") and expected.get(name, 0) > count
    ]


def reapplied(events: list[HistoryEvent], reset_event: int) -> dict[str, int]:
    """What came back: all that stands between the reset and the next workflow task."""
    counts: Counter[str] = Counter()
    for event in events:
        kind = event.WhichOneof("attributes") or ""
        if event.event_id <= reset_event:
            continue
        if kind == "workflow_task_scheduled_event_attributes":
            break
        counts[_BACK.get(kind, "others")] += 1
    return dict(counts)


def _ran(events: list[HistoryEvent], item: ResetItem) -> dict[str, int]:
    """Activities that were started behind the point, whichever task had asked for them."""
    kinds = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    started = (
        event.activity_task_started_event_attributes.scheduled_event_id
        for event in events
        if event.event_id > item.point.event_id and event.HasField("activity_task_started_event_attributes")
    )
    return dict(sorted(Counter(kinds.get(one, "?") for one in started).items()))
