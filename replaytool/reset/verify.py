"""Compare a plan with the result: the server's histories decide, not the ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from replaytool.engines.temporal.events.payloads import PayloadDecoder
from replaytool.engines.temporal.reset.first_task import find_first_task
from replaytool.engines.temporal.reset.server_calls import ResetClient, has_reset_token
from replaytool.model.history import Run
from replaytool.model.reset_plan import DONE, ItemOutcome, ResetItem, ResetPlan
from replaytool.model.reset_server import FirstTask, ResetSettings
from replaytool.model.run_facts import RunFacts
from replaytool.model.server_options import ServerOptions
from replaytool.reset.apply import list_items_to_reset
from replaytool.reset.apply_item import ItemResetter
from replaytool.reset.effects import compute_effects
from replaytool.reset.simulate_plan import PlanSimulationRequest
from replaytool.reset.simulation_check import (
    compare_activities,
    compare_final_states,
    compare_query_answers,
    why_incomparable,
)
from replaytool.store.ledger import Ledger, ledger_path_of

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent

_AT_ONCE = 10
_BACK = {
    "workflow_execution_signaled_event_attributes": "signals",
    "workflow_execution_update_admitted_event_attributes": "updates",
    "workflow_execution_options_updated_event_attributes": "options",
}


@dataclass(frozen=True, slots=True)
class VerifiedItem:
    """What happened to one workflow, and where that differs from the plan."""

    item: ResetItem
    state: str
    new_run_id: str | None = None
    status: str | None = None
    """Of the workflow's newest run."""
    reapplied: dict[str, int] = field(default_factory=dict)
    ran_again: dict[str, int] = field(default_factory=dict)
    """Activities that ran in the new run after the point, by type."""
    task: FirstTask | None = None
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    run: Run | None = None
    """The newest run, if its state must equal the simulated one."""


def verify_plan(
    path: Path,
    plan: ResetPlan,
    options: ServerOptions,
    allow: frozenset[str] = frozenset(),
    seen: Callable[[VerifiedItem], None] = lambda one: None,
    decoder: PayloadDecoder | None = None,
    wanted: PlanSimulationRequest | None = None,
) -> list[VerifiedItem]:
    """Check every workflow of the plan on the server; with code, its state too."""
    ledger = Ledger(ledger_path_of(path))
    how = VerifyOptions(allow, seen, decoder or PayloadDecoder())
    found = asyncio.run(
        _verify_items(
            plan, options, ledger.read_outcomes(plan.plan_id), ledger.read_apply_options(plan.plan_id) or {}, how
        )
    )
    runs = {one.item.id: one.run for one in found if one.run is not None}
    if wanted is None or not runs:
        return found
    held = compare_final_states(runs, {item.id: item for item in plan.items}, wanted)
    return [replace(one, differences=(*one.differences, *held.get(one.item.id, ()))) for one in found]


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """Options of the comparison."""

    allow: frozenset[str]
    seen: Callable[[VerifiedItem], None]
    decoder: PayloadDecoder


async def _verify_items(
    plan: ResetPlan,
    options: ServerOptions,
    outcomes: dict[str, ItemOutcome],
    applied: dict[str, object],
    comparing: VerifyOptions,
) -> list[VerifiedItem]:
    server = await ResetClient.connect_to_server(options)
    how = _reset_options_of(applied)
    allow = comparing.allow or frozenset(_texts_in(applied.get("allow")))
    looking = _ItemVerifier(server, plan, how, outcomes, allow, comparing.decoder)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def verify_when_free(item: ResetItem) -> VerifiedItem:
        async with gate:
            found = await looking.verify_item(item)
        comparing.seen(found)
        return found

    return list(await asyncio.gather(*(verify_when_free(item) for item in list_items_to_reset(plan, how))))


def _reset_options_of(applied: dict[str, object]) -> ResetSettings:
    """Return the options of the last apply."""
    pin = _texts_in(applied.get("pin"))
    return ResetSettings("", _texts_in(applied.get("exclude")), (pin[0], pin[1]) if len(pin) == 2 else None)


def _texts_in(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class _ItemVerifier:
    server: ResetClient
    plan: ResetPlan
    how: ResetSettings
    outcomes: dict[str, ItemOutcome]
    allow: frozenset[str]
    decoder: PayloadDecoder

    async def verify_item(self, item: ResetItem) -> VerifiedItem:
        outcome = self.outcomes.get(item.id)
        state = outcome.state if outcome else "not applied"
        new_run = outcome.new_run_id if outcome else None
        new_run = new_run or await self._make_item_resetter().find_reset_run(item)
        if new_run is None:
            why = f": {outcome.message}" if outcome and outcome.message else ""
            return VerifiedItem(item, state, differences=(f"not reset ({state}{why})",))
        return await self._compare_reset_run(item, DONE if state == "not applied" else state, new_run)

    def _make_item_resetter(self) -> ItemResetter:
        async def do_nothing(entry: ItemOutcome | None = None) -> None:
            return None

        return ItemResetter(
            self.server,
            self.plan,
            self.how,
            do_nothing,
            do_nothing,
            lambda: False,
            lambda: None,
            asyncio.Semaphore(),
            0.0,
        )

    async def _compare_reset_run(self, item: ResetItem, state: str, new_run: str) -> VerifiedItem:
        events = await self.server.fetch_events(item.workflow_id, new_run)
        at_point = next((event for event in events if event.event_id == item.point.event_id), None)
        if not has_reset_token(at_point, self.plan.reset_token(item)):
            wrong = f"run {new_run} has no reset with the plan's token at event {item.point.event_id}"
            return VerifiedItem(item, state, new_run, differences=(wrong,))
        current = await self.server.describe_run(item.workflow_id)
        base = await self.server.describe_run(item.workflow_id, item.run_id)
        task = find_first_task(events, item.point.event_id)
        back = count_reapplied(events, item.point.event_id)
        differences, notes = self._compare_first_task(task), []
        if base is not None and base.reset_run_id not in (None, new_run):
            differences.append(f"the base run was reset again, to run {base.reset_run_id}")
        if current is not None and current.status in ("Failed", "TimedOut", "Terminated"):
            differences.append(f"the newest run is {current.status}")
        expected = await self._count_expected_reapplied(item)
        if expected is None:
            notes.append("the base run is gone: re-applied messages are compared with the plan only")
        wanted = expected or _without_excluded(item.reapplied, self.how)
        differences += [
            f"re-applied {name}: {back.get(name, 0)} instead of {count}"
            for name, count in wanted.items()
            if name in ("signals", "updates", "options") and back.get(name, 0) != count
        ]
        if task is not None and task.tries > 1:
            notes.append(f"its first task took {task.tries} attempts")
        if expected is not None:
            notes += _note_later_arrivals(expected, _without_excluded(item.reapplied, self.how))
        status = current.status if current else None
        planned = _without_excluded(item.reapplied, self.how)
        grown = expected is not None and any(expected[name] > planned[name] for name in ("signals", "updates"))
        found = VerifiedItem(
            item,
            state,
            new_run,
            status,
            back,
            _count_started_again(events, item),
            task,
            tuple(differences),
            tuple(notes),
        )
        return await self._compare_with_simulation(found, events, current.run_id if current else new_run, grown=grown)

    async def _compare_with_simulation(
        self, found: VerifiedItem, events: list[HistoryEvent], current: str, *, grown: bool
    ) -> VerifiedItem:
        """Return the item with its differences from the simulation."""
        item = found.item
        later = [] if current == found.new_run_id else await self.server.fetch_events(item.workflow_id, current)
        why = why_incomparable(item, events, later, grown=grown)
        if why is not None:
            more = () if item.simulation is None else (f"not compared with the simulation: {why}",)
            return replace(found, notes=(*found.notes, *more))
        differences, notes = await compare_query_answers(self.server, item, self.decoder)
        differences += compare_activities(item, found.ran_again)
        return replace(
            found,
            differences=(*found.differences, *differences),
            notes=(*found.notes, *notes),
            run=await self.server.fetch_run(item.workflow_id, current),
        )

    def _compare_first_task(self, task: FirstTask | None) -> list[str]:
        if task is None:
            return ["no worker has completed its first task after the reset yet"]
        trouble = task.describe_problem(self.plan.bad_builds(), self.allow)
        return [trouble] if trouble else []

    async def _count_expected_reapplied(self, item: ResetItem) -> dict[str, int] | None:
        """Count what had to be re-applied by the base's final history, which may be longer than the planned one."""
        records: list[RunFacts] = []
        for run_id in (item.run_id, *item.undone_runs):
            if await self.server.describe_run(item.workflow_id, run_id) is None:
                return None
            records.append(await self.server.fetch_run_facts(item.workflow_id, run_id))
        found = compute_effects(records[0], records[1:], item.point.event_id).reapplied
        return _add_pin_update(_without_excluded(found, self.how), self.how)


def _without_excluded(counts: dict[str, int], how: ResetSettings) -> dict[str, int]:
    return {name: 0 if name in how.exclude else count for name, count in counts.items()}


def _add_pin_update(counts: dict[str, int], how: ResetSettings) -> dict[str, int]:
    """Count the pin, which is one more option update."""
    return counts | {"options": counts.get("options", 0) + (1 if how.pin else 0)}


def _note_later_arrivals(expected: dict[str, int], planned: dict[str, int]) -> list[str]:
    return [
        f"{expected[name] - count} more {name} arrived between plan and reset"
        for name, count in planned.items()
        if name in ("signals", "updates") and expected.get(name, 0) > count
    ]


def count_reapplied(events: list[HistoryEvent], reset_event: int) -> dict[str, int]:
    """Count what was re-applied: all events between the reset and the next workflow task."""
    counts: Counter[str] = Counter()
    for event in events:
        kind = event.WhichOneof("attributes") or ""
        if event.event_id <= reset_event:
            continue
        if kind == "workflow_task_scheduled_event_attributes":
            break
        counts[_BACK.get(kind, "others")] += 1
    return dict(counts)


def _count_started_again(events: list[HistoryEvent], item: ResetItem) -> dict[str, int]:
    """Count activities that started after the point, whichever task scheduled them."""
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
