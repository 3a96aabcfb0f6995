"""From loaded histories to a plan, without contacting anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from replaytool import __version__
from replaytool.engines.temporal.reset.effects import compute_effects, has_random_id
from replaytool.engines.temporal.reset.hazards import TRAPS, HazardCase, find_child_state
from replaytool.engines.temporal.reset.points import NoPoint, ResetRule, find_reset_point, refuse_default_build_id
from replaytool.engines.temporal.reset.run_chain import RunChain, build_run_chains
from replaytool.engines.temporal.reset.run_facts import RunFacts
from replaytool.engines.temporal.simulate.simulation import Simulation
from replaytool.model.reset_plan import (
    BLOCK,
    ChildAgain,
    PlanWarning,
    Point,
    ResetItem,
    ResetPlan,
    Skipped,
    item_id,
    sealed,
    totals,
)
from replaytool.model.token_usage import Prices, table
from replaytool.reset import selection
from replaytool.reset.foresight import as_planned, warnings_of
from replaytool.reset.selection import Choice
from replaytool.store import Store

Children = Mapping[str, tuple[str | None, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for."""

    rule: ResetRule
    choice: Choice = field(default_factory=Choice)
    include: frozenset[str] = frozenset()
    """Workflow ids that are taken although a warning blocks them."""
    prices: Prices = field(default_factory=dict)
    """What tokens cost, by model."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan before a server was asked about it."""

    request: Request
    namespace: str | None
    cases: tuple[HazardCase, ...]
    skipped: tuple[Skipped, ...]
    outlook: Mapping[str, Simulation] = field(default_factory=dict)
    """What becomes of them with the right code, by the base's run key; empty where no code was named."""
    code: dict[str, object] | None = None
    """Which code that is."""


def draft(store: Store, request: Request) -> Draft:
    """The workflows, their points and what follows: all that the histories know."""
    if request.rule.kind == "build":
        refuse_default_build_id(request.rule.value)
    found = selection.chosen(store, request.choice)
    if not found.matched and not found.nameless and not found.unknown:
        raise selection.nothing_chosen()
    cases: list[HazardCase] = []
    skipped = [Skipped(None, one, "nothing is loaded under this id") for one in found.unknown]
    skipped += [
        Skipped(
            row["workflow_id"], row["run_id"], f"run {row['run_key']}: its record does not say which workflow it is"
        )
        for row in found.nameless
    ]
    for line in build_run_chains(found.records):
        made = _case(request.rule, line, found.matched, found.named)
        if isinstance(made, HazardCase):
            cases.append(made)
        elif made is not None:
            skipped.append(made)
    ids = sorted({child.workflow_id for case in cases for child in case.effects.children_again})
    children = selection.known_children(store, ids) if ids else {}
    return with_children(Draft(request, found.namespace, tuple(cases), tuple(skipped)), children)


def with_children(made: Draft, children: Children) -> Draft:
    """The same, with what is known of the children."""
    return replace(made, cases=tuple(case.with_children(children) for case in made.cases))


def _case(
    rule: ResetRule, line: RunChain, matched: frozenset[str], named: frozenset[str]
) -> HazardCase | Skipped | None:
    chosen = [run for run in (*line.runs, *line.superseded) if run.run_key in matched]
    if not chosen:
        return None
    picked = next((run for run in line.runs if run.run_key in named), None)
    found = find_reset_point(rule, replace(line, chosen=picked))
    if isinstance(found, NoPoint):
        aside = next((run for run in chosen if run in line.superseded), None)
        reset = f" (run {aside.run_id} was reset already, to {line.newest_run.run_id})" if aside else ""
        return Skipped(line.newest_run.workflow_id, line.newest_run.run_id, found.reason + reset)
    return case(rule, line, found.base, found.point)


def case(rule: ResetRule, line: RunChain, base: RunFacts, point: Point) -> HazardCase:
    """A base and a point with what follows from them."""
    later = line.runs_after(base)
    bad = frozenset({rule.value} if rule.kind == "build" else ())
    return HazardCase(rule, line, base, later, point, compute_effects(base, later, point.event_id), bad, {})


def finished(
    made: Draft,
    extra: Callable[[HazardCase], Sequence[PlanWarning]] = lambda case: (),
    server: Callable[[HazardCase], dict[str, object] | None] = lambda case: None,
    warnings: Sequence[PlanWarning] = (),
    now: datetime | None = None,
) -> ResetPlan:
    """The plan, with what a server said where it was asked."""
    items = [
        _item(made, case, [*warned(case), *foreseen(made, case), *extra(case)], server(case)) for case in made.cases
    ]
    items.sort(key=lambda item: (item.workflow_id, item.run_id))
    plan = ResetPlan(
        namespace=made.namespace,
        rule=made.request.rule.as_object(),
        created_at=(now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        totals=totals(items),
        items=items,
        skipped=sorted(made.skipped, key=lambda one: (one.workflow_id or "", one.run_id or "")),
        warnings=list(warnings),
        code=made.code,
        tool={"name": "replaytool", "version": __version__},
    )
    return sealed(plan)


def warned(case: HazardCase) -> list[PlanWarning]:
    """Every trap that this item would run into."""
    return [PlanWarning(code, level, text) for code, trap in TRAPS.items() for level, text in trap(case)]


def foreseen(made: Draft, case: HazardCase) -> list[PlanWarning]:
    """What the simulation warns of."""
    found = made.outlook.get(case.base.run_key)
    return list(warnings_of(found, case.effects.repeats)) if found is not None else []


def _item(made: Draft, case: HazardCase, found: list[PlanWarning], server: dict[str, object] | None) -> ResetItem:
    base, result = case.base, case.effects
    seen = made.outlook.get(base.run_key)
    workflow_id, run_id = base.workflow_id or "", base.run_id or ""
    blocked = any(warning.level == BLOCK for warning in found)
    return ResetItem(
        id=item_id(made.namespace, workflow_id, run_id, case.point.event_id),
        workflow_id=workflow_id,
        run_id=run_id,
        run_key=base.run_key,
        workflow_type=base.workflow_type,
        task_queue=base.task_queue,
        status=case.line.newest_run.status,
        events=base.last_event_id,
        current_run_id=case.line.newest_run.run_id or "",
        current_events=case.line.newest_run.last_event_id,
        point=case.point,
        undone_events=result.undone_events,
        undone_runs=list(result.undone_runs),
        reapplied=result.reapplied,
        repeats=result.repeats,
        repeats_local=result.repeats_local,
        pending_activities=result.pending_activities,
        updates_may_change=list(result.updates_may_change),
        children_again=[
            ChildAgain(child.workflow_id, child.type, has_random_id(child, base), find_child_state(case, child))
            for child in result.children_again
        ],
        warnings=found,
        included=not blocked or workflow_id in made.request.include,
        server=server,
        prefix_verdict=seen.prefix_verdict if seen is not None else None,
        simulation=as_planned(seen) if seen is not None else None,
        repeats_inputs=seen.inputs if seen is not None else None,
        repeats_usage=table(result.spent, made.request.prices),
    )
