"""`replaytool reset simulate`: predict the state of each workflow of a plan after its reset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS, NOTHING, ErrorCode, ReplaytoolError
from replaytool.render import reset as reset_telling
from replaytool.text import count_noun

if TYPE_CHECKING:
    from replaytool.check.check_runs import CheckPlan
    from replaytool.config import Settings
    from replaytool.model.reset_plan import ResetItem, ResetPlan
    from replaytool.model.simulation import Simulation
    from replaytool.reset.simulate_plan import PlanSimulationRequest
    from replaytool.session import Session


@click.command("simulate")
@click.argument("target", metavar="PLAN|RUN")
@click.option(
    "--event", type=click.IntRange(1), metavar="N", help="For a run: reset to the last task completed up to this event."
)
@click.option("--build", metavar="BUILD", help="For a run: reset to before the first task of this build.")
@click.option("--query", "queries", multiple=True, metavar="NAME", help="Ask this query at the end. Repeatable.")
@click.option("--exclude", metavar="LIST", default="", help="Do not re-apply: signals,updates.")
@code.replay_options
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, target: str, event: int | None, build: str | None, exclude: str, as_json: bool, **given: Any
) -> None:
    """Simulate resets: predict the state of each workflow and the activities that are re-executed.

    PLAN is a plan file; RUN is a loaded run, with --event or --build. The command contacts no server and executes no
    activity. It exits with 1 if the events before a point do not replay, or if a simulation stops or fails.

    \b
    Examples:
      replaytool reset simulate plan.json --workflows app/ --query standing
      replaytool reset simulate loyalty-rider-08 --build v2 --workflows app/
    """
    from replaytool.reset.simulate_plan import simulate_plan

    work = code.open_code_session(ctx, **given)
    code_plan = code.require_replay_plan(work.settings, **given)
    how = _make_request(code_plan, tuple(part for part in exclude.split(",") if part), given["queries"])
    plan = _load_or_make_plan(work, target, event, build)
    with code.show_key_progress("simulating") as (observer, told):
        observer.on_total(len(plan.items))
        found = simulate_plan(work.store, plan, how, told)
    rows = [_make_simulation_row(item, found[item.id]) for item in plan.items if item.id in found]
    missing = len(plan.items) - len(rows)
    names = tuple(rows[0]) if rows else ("workflow_id",)
    reset_telling.print_rows(names, [tuple(row.values()) for row in rows], None, as_json=as_json)
    if missing:
        options.print_note(f"not simulated: {count_noun(missing, 'workflow')} whose runs are not in the store")
    if not rows:
        ctx.exit(NOTHING)
    if missing or any(needs_attention(one) for one in found.values()):
        ctx.exit(FINDINGS)


def make_simulation_request(
    settings: Settings, exclude: tuple[str, ...], *, queries: tuple[str, ...], **given: Any
) -> PlanSimulationRequest | None:
    """Return how to simulate, or None when no code is named or configured."""
    plan = code.find_replay_plan(settings, **given)
    return None if plan is None else _make_request(plan, exclude, queries)


def _make_request(plan: CheckPlan, exclude: tuple[str, ...], queries: tuple[str, ...]) -> PlanSimulationRequest:
    from replaytool.reset.simulate_plan import PlanSimulationRequest

    return PlanSimulationRequest(plan.spec, plan.options, plan.limits, tuple(queries), exclude)


def needs_attention(one: Simulation) -> bool:
    """Return whether a person has to look at this simulation before anything is reset."""
    return bool(one.stopped) or one.status == "Failed" or one.prefix_verdict not in ("ok", "drift")


def _load_or_make_plan(work: Session, target: str, event: int | None, build: str | None) -> ResetPlan:
    from replaytool.model.reset_case import ResetRule
    from replaytool.model.reset_plan import read_plan
    from replaytool.reset import planner
    from replaytool.reset.selection import RunSelection

    if event is None and build is None:
        if not Path(target).is_file():
            raise ReplaytoolError(
                f"there is no plan file {target}",
                "for a run, add --event or --build",
                code=ErrorCode.RESET_PLAN_UNKNOWN,
            )
        return read_plan(Path(target))
    if event is not None and build is not None:
        raise ReplaytoolError(
            "--event and --build cannot be combined", "use one of them", code=ErrorCode.USAGE_COMBINATION
        )
    rule = ResetRule("build", build) if build is not None else ResetRule("event", str(event))
    row = work.find_run(target)
    made = planner.finish_plan(
        planner.draft_plan(work.store, planner.PlanRequest(rule, RunSelection(ids=(row.run_key,))))
    )
    if not made.items:
        reason = made.skipped[0].reason if made.skipped else "it cannot be reset"
        raise ReplaytoolError(
            f"nothing to simulate: {reason}",
            "`replaytool reset points RUN` lists points",
            NOTHING,
            code=ErrorCode.SIMULATE_NOTHING,
        )
    return made


def _make_simulation_row(item: ResetItem, found: Simulation) -> dict[str, object]:
    from replaytool.reset.foresight import plan_fields_of

    head = {
        "workflow_id": item.workflow_id,
        "run_id": item.run_id,
        "event_id": item.point.event_id,
        "prefix_verdict": found.prefix_verdict,
    }
    return {**head, **plan_fields_of(found)}
