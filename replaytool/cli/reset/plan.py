"""`replaytool reset plan`: choose reset points and show what each reset undoes and re-executes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from replaytool.cli.pull import server_options
from replaytool.cli.reset import simulate as reset_simulate
from replaytool.cli.reset import state_points as reset_looking
from replaytool.cli.reset.options import pop_reset_call_options, pop_server_options
from replaytool.cli.reset.options import reset_call_options as how_options
from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import NOTHING, ErrorCode, ReplaytoolError
from replaytool.render import reset as reset_telling
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.model.reset_case import ResetRule
    from replaytool.model.reset_plan import ResetPlan
    from replaytool.model.reset_server import ResetSettings
    from replaytool.model.server_options import ServerOptions
    from replaytool.reset.planner import PlanDraft
    from replaytool.session import Session


@click.command("plan")
@click.option("--build", metavar="BUILD", help="Reset to before this build did anything.")
@click.option(
    "--entry", type=click.IntRange(1), default=1, metavar="N", help="With --build: the N-th time it took over."
)
@click.option("--tasks-only", is_flag=True, help="With --build: ignore the activities that it executed.")
@click.option(
    "--time", "at", metavar="TIME", help="Reset to the first task completed since: 2h, 3d, or ISO 8601 (UTC)."
)
@click.option("--event", type=click.IntRange(1), metavar="N", help="Reset to the last task completed up to this event.")
@click.option("--before-activity", metavar="TYPE", help="Reset to the task that scheduled the first one.")
@click.option("--first-task", is_flag=True, help="Reset to the first workflow task.")
@click.option("--last-task", is_flag=True, help="Reset to the last workflow task.")
@click.option("--last-continued-as-new", is_flag=True, help="Reset the run before, to its continue-as-new.")
@click.option("--state-changed", metavar="EXPR", help="Reset to before the task that made this true.")
@click.option("--latest-clean", is_flag=True, help="Reset to the last task up to which --workflows replays.")
@click.option("--where", metavar="SQL", help="Only workflows with a run that matches this on the view `runs`.")
@click.option("--where-state", metavar="EXPR", help="Only workflows with a run for which this is true at its end.")
@click.option("--only-diverged", is_flag=True, help="Only workflows with a run that diverged in the last check.")
@click.option("--only-stuck", is_flag=True, help="Only workflows with a run that was stuck in the last check.")
@click.option("--code", "by_build", multiple=True, metavar="BUILD=CODE", help="The code of one build. Repeatable.")
@click.option(
    "--ids", "ids_file", metavar="FILE", type=click.File(encoding="utf-8"), help="Only these: one ID per line."
)
@click.option("--skip", multiple=True, metavar="ID", help="Leave out this workflow or run. Repeatable.")
@click.option(
    "--include", multiple=True, metavar="ID", help="Include this workflow even if a warning blocks it. Repeatable."
)
@click.option(
    "--query", "queries", multiple=True, metavar="NAME", help="Ask this query at the end of the simulation. Repeatable."
)
@click.option("-o", "--output", metavar="FILE", help="Write the plan to this JSON file.")
@click.option("--emit-cli", is_flag=True, help="Print the plan as `temporal workflow reset` commands.")
@how_options
@code.replay_options
@server_options
@options.as_json
@options.store
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Plan resets from the loaded histories: reset points, undone events, re-applied signals, re-executed activities.

    With --workflows the command replays the events before each point with that code and simulates what follows: the
    workflow's final state, the activities that are re-executed, and where the history has no result. It contacts no
    server without --address. A blocking warning leaves a workflow out unless --include names it.

    \b
    Examples:
      replaytool reset plan --build v2 --workflows app/ -o plan.json
      replaytool reset plan --build v2 --where "status = 'Running'" --address localhost:7233 -o plan.json
      replaytool reset plan --before-activity charge_card --ids affected.txt --emit-cli
      replaytool reset plan --state-changed "points == 0 and trips" --code v2=old/wf.py --workflows app/wf.py
    """
    from replaytool.model.reset_plan import plan_to_text
    from replaytool.reset import planner
    from replaytool.reset.selection import RunSelection

    how, server = pop_reset_call_options(given), pop_server_options(given)
    rule = _choose_reset_rule(given)
    build = rule.value if rule.kind == "build" else None
    choice = RunSelection(build, given["where"], _read_ids(given["ids_file"]), given["skip"], server.namespace)
    work = code.open_code_session(ctx, **given)
    rule, choice = reset_looking.apply_state_rules(work, given, rule, choice)
    made = planner.draft_plan(
        work.store, planner.PlanRequest(rule, choice, frozenset(given["include"]), work.settings.prices)
    )
    plan = _finish_plan(made, server, _make_draft_simulator(work, given, how.exclude))
    _warn_about_unknown_ids(work, plan, given["skip"], given["include"])
    if given["output"]:
        from replaytool.session import open_output

        with open_output(given["output"]) as stream:
            stream.write(plan_to_text(plan).encode("ascii"))
    if given["as_json"]:
        click.echo(plan_to_text(plan), nl=False)
    elif given["emit_cli"]:
        _print_cli_commands(plan, how, server.address)
    else:
        reset_telling.print_plan(plan, given["output"])
    if not plan.items:
        ctx.exit(NOTHING)


def _warn_about_unknown_ids(work: Session, plan: ResetPlan, skip: tuple[str, ...], include: tuple[str, ...]) -> None:
    """Warn about ids that match nothing: a typo in --skip would reset a workflow that must stay."""
    from replaytool.reset.selection import find_unknown_ids

    for one in find_unknown_ids(work.store, skip) if skip else ():
        options.print_note(escape_controls(f"--skip {one}: no loaded workflow or run has this ID"))
    for one in dict.fromkeys(include):
        if one not in {item.workflow_id for item in plan.items}:
            options.print_note(escape_controls(f"--include {one}: the plan has no workflow with this ID"))


def _finish_plan(made: PlanDraft, server: ServerOptions, foresee: Callable[[PlanDraft], PlanDraft]) -> ResetPlan:
    from replaytool.reset import planner
    from replaytool.reset import server_checks as online

    return (
        planner.finish_plan(foresee(made)) if server.address is None else online.plan_with_server(made, server, foresee)
    )


def _make_draft_simulator(
    work: Session, given: dict[str, Any], exclude: tuple[str, ...]
) -> Callable[[PlanDraft], PlanDraft]:
    """Return a function that simulates a draft; without workflow code it returns the draft unchanged."""
    from replaytool.reset.simulate_plan import simulate_draft

    wanted = reset_simulate.make_simulation_request(work.settings, exclude, **given)
    if wanted is None:
        if given["queries"]:
            raise ReplaytoolError(
                "--query needs workflow code to simulate with",
                "add --workflows MODULE-OR-PATH",
                code=ErrorCode.CODE_NOT_NAMED,
            )
        return lambda made: made

    def simulate(made: PlanDraft) -> PlanDraft:
        with code.show_key_progress("simulating") as (observer, told):
            observer.on_total(len(made.cases))
            return simulate_draft(work.store, made, wanted, told)

    return simulate


_RULES = (
    "build", "at", "event", "before_activity", "first_task", "last_task", "last_continued_as_new", "state_changed",
    "latest_clean",
)  # fmt: skip


def _choose_reset_rule(given: dict[str, Any]) -> ResetRule:
    from replaytool.model.reset_case import ResetRule

    found = [name for name in _RULES if given[name]]
    if len(found) != 1:
        raise ReplaytoolError(
            "choose where to reset to" if not found else f"{' and '.join(map(_option_name, found))} cannot be combined",
            "--build, --time, --event, --before-activity, --first-task, --last-task, --last-continued-as-new, "
            "--state-changed or --latest-clean",
            code=ErrorCode.USAGE_COMBINATION if found else ErrorCode.RESET_POINT_MISSING,
        )
    name, value = found[0], given[found[0]]
    if name != "build" and (given["entry"] != 1 or given["tasks_only"]):
        raise ReplaytoolError(
            "--entry and --tasks-only need --build", "add --build BUILD", code=ErrorCode.USAGE_COMBINATION
        )
    if name == "at":
        return ResetRule("time", _parse_moment(value))
    return ResetRule(name, "" if value is True else str(value), given["entry"], given["tasks_only"])


def _option_name(name: str) -> str:
    return "--time" if name == "at" else "--" + name.replace("_", "-")


def _parse_moment(text: str) -> str:
    from datetime import UTC, datetime

    from replaytool.time_parsing import parse_since_time

    return parse_since_time(text, datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read_ids(file: Iterable[str] | None) -> tuple[str, ...] | None:
    if file is None:
        return None
    lines = (line.strip() for line in file)
    return tuple(line for line in lines if line and not line.startswith("#"))


def _print_cli_commands(plan: ResetPlan, how: ResetSettings, address: str | None) -> None:
    from replaytool.reset.cli_commands import list_reset_commands

    click.echo(
        f"# plan {plan.plan_id}: run each command once; a second call resets again and loses what came in between"
    )
    for line in list_reset_commands(plan, how, address):
        click.echo(line)
