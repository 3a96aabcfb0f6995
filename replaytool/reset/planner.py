"""Build a plan from loaded histories, without contacting a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from replaytool import __version__
from replaytool.engines import engine_of, require_part
from replaytool.model.reset_case import HazardCase, ResetRule, RunChain, find_child_state, has_random_id
from replaytool.model.reset_plan import (
    BLOCK,
    PlanWarning,
    RepeatedChild,
    ResetItem,
    ResetPlan,
    ResetPoint,
    SkippedWorkflow,
    make_item_id,
    seal_plan,
    sum_totals,
)
from replaytool.model.run_facts import RunFacts
from replaytool.model.simulation import Simulation
from replaytool.model.token_usage import Prices, tabulate_usage
from replaytool.reset import selection
from replaytool.reset.effects import compute_effects
from replaytool.reset.foresight import plan_fields_of, warn_of_simulation
from replaytool.reset.points import NoPoint, find_reset_point, refuse_default_build_id
from replaytool.reset.run_chain import build_run_chains
from replaytool.reset.selection import RunSelection
from replaytool.store import Store

Children = Mapping[str, tuple[str | None, str]]


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the user asked for."""

    rule: ResetRule
    choice: RunSelection = field(default_factory=RunSelection)
    include: frozenset[str] = frozenset()
    """Workflow ids that are included although a warning blocks them."""
    prices: Prices = field(default_factory=dict)
    """Token prices by model."""


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A plan before a server was asked about it."""

    request: PlanRequest
    namespace: str | None
    cases: tuple[HazardCase, ...]
    skipped: tuple[SkippedWorkflow, ...]
    outlook: Mapping[str, Simulation] = field(default_factory=dict)
    """The simulations with the right code, by the base's run key; empty if no code was named."""
    code: dict[str, object] | None = None
    """Which code that is."""


def draft_plan(store: Store, request: PlanRequest) -> PlanDraft:
    """Return the selected workflows with points and effects, as far as loaded histories tell."""
    if request.rule.kind == "build":
        refuse_default_build_id(request.rule.value)
    found = selection.select_runs(store, request.choice)
    if not found.matched and not found.nameless and not found.unknown:
        raise selection.nothing_selected_error()
    cases: list[HazardCase] = []
    skipped = [SkippedWorkflow(None, one, "no loaded workflow or run has this ID") for one in found.unknown]
    skipped += [
        SkippedWorkflow(row["workflow_id"], row["run_id"], f"run {row['run_key']}: its history has no workflow ID")
        for row in found.nameless
    ]
    for line in build_run_chains(found.records):
        made = _find_case(request.rule, line, found.matched, found.named)
        if isinstance(made, HazardCase):
            cases.append(made)
        elif made is not None:
            skipped.append(made)
    ids = sorted({child.workflow_id for case in cases for child in case.effects.children_again})
    children = store.find_newest_runs(ids) if ids else {}
    return add_known_children(PlanDraft(request, found.namespace, tuple(cases), tuple(skipped)), children)


def add_known_children(made: PlanDraft, children: Children) -> PlanDraft:
    """Return the draft with what is known about the children."""
    return replace(made, cases=tuple(case.with_children(children) for case in made.cases))


def _find_case(
    rule: ResetRule, line: RunChain, matched: frozenset[str], named: frozenset[str]
) -> HazardCase | SkippedWorkflow | None:
    chosen = [run for run in (*line.runs, *line.superseded) if run.run_key in matched]
    if not chosen:
        return None
    picked = next((run for run in line.runs if run.run_key in named), None)
    found = find_reset_point(rule, replace(line, chosen=picked))
    if isinstance(found, NoPoint):
        aside = next((run for run in chosen if run in line.superseded), None)
        reset = f" (run {aside.run_id} was reset already, to {line.newest_run.run_id})" if aside else ""
        return SkippedWorkflow(line.newest_run.workflow_id, line.newest_run.run_id, found.reason + reset)
    return make_case(rule, line, found.base, found.point)


def make_case(rule: ResetRule, line: RunChain, base: RunFacts, point: ResetPoint) -> HazardCase:
    """Return a base and a point with their effects."""
    later = line.runs_after(base)
    bad = frozenset({rule.value} if rule.kind == "build" else ())
    return HazardCase(rule, line, base, later, point, compute_effects(base, later, point.event_id), bad, {})


def finish_plan(
    made: PlanDraft,
    extra: Callable[[HazardCase], Sequence[PlanWarning]] = lambda case: (),
    server: Callable[[HazardCase], dict[str, object] | None] = lambda case: None,
    warnings: Sequence[PlanWarning] = (),
    now: datetime | None = None,
) -> ResetPlan:
    """Return the finished plan, with the server's answers if it was asked."""
    items = [
        _make_item(
            made, case, [*find_hazard_warnings(case), *find_simulation_warnings(made, case), *extra(case)], server(case)
        )
        for case in made.cases
    ]
    items.sort(key=lambda item: (item.workflow_id, item.run_id))
    plan = ResetPlan(
        namespace=made.namespace,
        rule=made.request.rule.as_object(),
        created_at=(now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        totals=sum_totals(items),
        items=items,
        skipped=sorted(made.skipped, key=lambda one: (one.workflow_id or "", one.run_id or "")),
        warnings=list(warnings),
        code=made.code,
        tool={"name": "replaytool", "version": __version__},
    )
    return seal_plan(plan)


def find_hazard_warnings(case: HazardCase) -> list[PlanWarning]:
    """Return every hazard of this item."""
    engine = engine_of(case.base.engine)
    hazards = require_part(engine, engine.reset_model(), "reset").hazards
    return [PlanWarning(code, level, text) for code, hazard in hazards.items() for level, text in hazard(case)]


def find_simulation_warnings(made: PlanDraft, case: HazardCase) -> list[PlanWarning]:
    """Return what the simulation warns of."""
    found = made.outlook.get(case.base.run_key)
    return list(warn_of_simulation(found, case.effects.repeats)) if found is not None else []


def _make_item(
    made: PlanDraft, case: HazardCase, found: list[PlanWarning], server: dict[str, object] | None
) -> ResetItem:
    base, result = case.base, case.effects
    seen = made.outlook.get(base.run_key)
    workflow_id, run_id = base.workflow_id or "", base.run_id or ""
    blocked = any(warning.level == BLOCK for warning in found)
    return ResetItem(
        id=make_item_id(made.namespace, workflow_id, run_id, case.point.event_id),
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
            RepeatedChild(child.workflow_id, child.type, has_random_id(child, base), find_child_state(case, child))
            for child in result.children_again
        ],
        warnings=found,
        included=not blocked or workflow_id in made.request.include,
        server=server,
        prefix_verdict=seen.prefix_verdict if seen is not None else None,
        simulation=plan_fields_of(seen) if seen is not None else None,
        repeats_inputs=seen.inputs if seen is not None else None,
        repeats_usage=tabulate_usage(result.spent, made.request.prices),
        engine=case.base.engine,
    )
