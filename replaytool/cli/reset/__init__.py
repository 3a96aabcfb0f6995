"""`replaytool reset`: plan, simulate, apply and verify resets. One file or function per subcommand."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaytool.cli import open_session
from replaytool.cli.pull import server_options
from replaytool.cli.reset import plan as reset_plan
from replaytool.cli.reset import simulate as reset_simulate
from replaytool.cli.reset.options import pop_reset_call_options, pop_server_options
from replaytool.cli.reset.options import reset_call_options as how_options
from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS, NOTHING, ErrorCode, ReplaytoolError
from replaytool.render import reset as reset_telling
from replaytool.text import count_noun, escape_controls

if TYPE_CHECKING:
    from replaytool.model.reset_plan import ResetPlan
    from replaytool.reset.apply import ApplyPreview
    from replaytool.reset.verify import VerifiedItem

INTERRUPTED = 130
_PLAN = click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))


@click.group
def command() -> None:
    """Reset workflows to before a bad build: plan, simulate, apply, verify.

    \b
    Example:
      replaytool reset plan --build v2 --workflows app/ -o plan.json
      replaytool reset apply plan.json --address localhost:7233 --canary 3
      replaytool reset verify plan.json --address localhost:7233
    """


command.add_command(reset_plan.command)
command.add_command(reset_simulate.command)


@command.command("apply")
@_PLAN
@how_options
@click.option("--rps", type=click.FloatRange(0), default=10, show_default=True, help="Resets per second; 0: no limit.")
@click.option(
    "--concurrency", type=click.IntRange(1, 200), default=10, show_default=True, metavar="N", help="Resets at once."
)
@click.option(
    "--canary",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Reset N first; continue when their next tasks succeed.",
)
@click.option(
    "--canary-timeout",
    type=click.FloatRange(0),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Wait this long for the canaries.",
)
@click.option(
    "--max-failures", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="Stop at N failures."
)
@click.option("--allow", multiple=True, metavar="BUILD", help="Only this build may run the new runs. Repeatable.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@server_options
@options.as_json
@options.store
@click.pass_context
def apply_command(
    ctx: click.Context, /, plan_file: Path, yes: bool, as_json: bool, store: str | None, **given: Any
) -> None:
    """Apply a plan: reset each workflow once, and record each step in the ledger beside the plan.

    If the command was killed, run it again: it continues, and resets nothing twice.

    \b
    Example:
      replaytool reset apply plan.json --address localhost:7233 --canary 3 --allow v3
    """
    from replaytool.model.reset_plan import read_plan
    from replaytool.reset.apply import ApplyProgress, ApplySettings, apply_plan, refuse_outdated_plan

    plan = read_plan(plan_file)
    how, server = pop_reset_call_options(given), pop_server_options(given)
    refuse_outdated_plan(plan, _read_event_counts(ctx, store, plan))
    settings = ApplySettings(server=server, how=how, **(given | {"allow": frozenset(given["allow"])}))
    tally = ApplyProgress()
    with contextlib.ExitStack() as stack:

        def confirm_apply(ready: ApplyPreview) -> bool:
            agreed = yes or _ask_for_confirmation(ready)
            if agreed:
                stack.enter_context(reset_telling.show_apply_progress(tally))
            return agreed

        applied = apply_plan(plan_file, plan, settings, confirm_apply, tally)
    if applied is None:
        raise ReplaytoolError(
            "nothing was reset", "you did not type the number", FINDINGS, code=ErrorCode.RESET_DECLINED
        )
    reset_telling.print_applied(applied, as_json=as_json)
    if not applied.is_clean:
        ctx.exit(INTERRUPTED if applied.interrupted else FINDINGS)


def _read_event_counts(ctx: click.Context, store: str | None, plan: ResetPlan) -> dict[str, int]:
    """Return the number of loaded events of each run of the plan; empty without a store."""
    opened = open_session(ctx, store=store)
    if not opened.settings.store.is_file():
        return {}
    found = opened.store.read_runs(item.run_key for item in plan.items)
    return {key: row.event_count for key, row in found.items()}


def _ask_for_confirmation(ready: ApplyPreview) -> bool:
    """Ask the user to type the number of workflows; return whether they did."""
    left = len(ready.items) - ready.done_before
    target = ready.server.target
    for one in ready.pollers:
        options.print_note(
            escape_controls(f"warning: worker {one.identity} of the bad build {one.build_id} polls {one.task_queue}")
        )
    before = f" ({ready.done_before} more are already reset)" if ready.done_before else ""
    options.print_note(
        f"This resets {count_noun(left, 'workflow')} in namespace {target.namespace} at {target.address}{before}."
    )
    if not sys.stdin.isatty():
        raise ReplaytoolError(
            "cannot ask for confirmation: stdin is not a terminal",
            "add --yes to skip the question",
            code=ErrorCode.RESET_UNCONFIRMED,
        )
    print(f"Type {left} to continue: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() == str(left)


_CSV = click.option("--csv", "csv_file", metavar="FILE", help="Write the results to this CSV file.")


@command.command("status")
@_PLAN
@_CSV
@options.as_json
def status_command(plan_file: Path, csv_file: str | None, as_json: bool) -> None:
    """Show the state of each workflow of a plan, from its ledger, without a server.

    \b
    Example:
      replaytool reset status plan.json
    """
    from replaytool.model.reset_plan import ItemOutcome, read_plan
    from replaytool.store.ledger import Ledger, ledger_path_of

    plan = read_plan(plan_file)
    known = Ledger(ledger_path_of(plan_file)).read_outcomes(plan.plan_id)
    listed = [item for item in plan.items if item.included or item.id in known]
    found = [
        known.get(item.id, ItemOutcome(item.id, item.workflow_id, item.run_id, item.point.event_id, "to do"))
        for item in listed
    ]
    names = tuple(one.name for one in fields(ItemOutcome))
    reset_telling.print_rows(
        names, [[getattr(one, name) for name in names] for one in found], csv_file, as_json=as_json
    )
    if not as_json:
        states = sorted({one.state for one in found})
        click.echo(", ".join(f"{sum(one.state == state for one in found):,} {state}" for state in states) or "nothing")


@command.command("verify")
@_PLAN
@click.option("--allow", multiple=True, metavar="BUILD", help="Only this build may have run the new runs. Repeatable.")
@_CSV
@code.replay_options
@server_options
@options.as_json
@click.pass_context
def verify_command(
    ctx: click.Context, /, plan_file: Path, csv_file: str | None, as_json: bool, allow: tuple[str, ...], **given: Any
) -> None:
    """Compare every workflow of a plan with the server, and list the differences.

    The command also compares the simulation: re-executed activities, answers to the plan's queries (these need a
    running worker), and with --workflows the state that this code makes of the new runs.

    \b
    Examples:
      replaytool reset verify plan.json --address localhost:7233 --csv results.csv
      replaytool reset verify plan.json --address localhost:7233 --workflows app/
    """
    from replaytool.model.reset_plan import read_plan
    from replaytool.reset.verify import verify_plan

    plan = read_plan(plan_file)
    server = pop_server_options(given)
    work = code.open_code_session(ctx, **given)
    settings = work.settings
    wanted = (
        reset_simulate.make_simulation_request(settings, (), queries=(), **given) if plan.code is not None else None
    )
    found = verify_plan(
        plan_file,
        plan,
        server,
        frozenset(allow),
        make_decoder=lambda engine: work.event_reader(engine).make_decoder(),
        wanted=wanted,
    )
    rows = [_make_verified_row(one) for one in found]
    names = tuple(rows[0]) if rows else ("workflow_id",)
    reset_telling.print_rows(names, [tuple(row.values()) for row in rows], csv_file, as_json=as_json)
    wrong = [one for one in found if one.differences]
    if not as_json:
        click.echo(f"{count_noun(len(found), 'workflow')} verified, {len(wrong):,} with differences")
    if wrong:
        ctx.exit(FINDINGS)


def _make_verified_row(one: VerifiedItem) -> dict[str, object]:
    return {
        "workflow_id": one.item.workflow_id,
        "run_id": one.item.run_id,
        "event_id": one.item.point.event_id,
        "state": one.state,
        "new_run_id": one.new_run_id,
        "status": one.status,
        "build_id": one.task.build_id if one.task else None,
        "signals": one.reapplied.get("signals", 0),
        "updates": one.reapplied.get("updates", 0),
        "ran_again": one.ran_again,
        "differences": list(one.differences),
        "notes": list(one.notes),
    }


@command.command("points")
@click.argument("run")
@server_options
@options.as_json
@options.store
@click.pass_context
def points_command(ctx: click.Context, /, run: str, as_json: bool, store: str | None, **given: Any) -> None:
    """List every point that a run can be reset to.

    With --address the command also lists the server's own points, and says why they differ.

    \b
    Example:
      replaytool reset points loyalty-rider-08
    """
    from replaytool.reset.engine_jobs import require_reset_model
    from replaytool.reset.points import list_reset_points
    from replaytool.reset.server_checks import list_server_points

    opened = open_session(ctx, store=store)
    row, events = opened.read_history(run)
    made = require_reset_model(row.engine).read_facts(row.values, events)
    server = pop_server_options(given)
    theirs = list_server_points(made, server) if server.address is not None else []
    names = ("event_id", "build_id", "ordinal", "at", "rule", "known_by")
    rows = [(one.event_id, one.build_id, one.ordinal, one.at, one.rule, "history") for one in list_reset_points(made)]
    rows += [(one.event_id, one.build_id, None, None, one.rule, "server") for one in theirs]
    rows.sort(key=lambda one: one[0])
    reset_telling.print_rows(names, rows, None, as_json=as_json)
    if not rows:
        ctx.exit(NOTHING)
