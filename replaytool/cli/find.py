"""`replaytool find`: ask all runs when an expression over the state first held."""

from __future__ import annotations

from typing import Unpack

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import CLEAN, FINDINGS, NOTHING, ErrorCode, ReplaytoolError


@click.command
@click.argument("expression", metavar="EXPR")
@click.argument("runs", metavar="[RUN]…", nargs=-1)
@click.option("--where", metavar="SQL", help="Only runs that match this SQL condition on the view `runs`.")
@click.option("--code", "by_build", multiple=True, metavar="BUILD=CODE", help="The code of one build. Repeatable.")
@click.option("--git", is_flag=True, help="Build IDs are commits or refs of the repository of --workflows.")
@click.option(
    "--git-ref", default="", metavar="PATTERN", help="How to make a ref of a build ID: release-{build}, or a regex."
)
@code.replay_options
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context,
    /,
    expression: str,
    runs: tuple[str, ...],
    where: str | None,
    by_build: tuple[str, ...],
    git: bool,
    git_ref: str,
    as_json: bool,
    **given: Unpack[code.ReplayGiven],
) -> None:
    """Find the first event of each run after which an expression over the state is true.

    The command replays the loaded runs, each build's tasks with the code of that build, and names the event, the build,
    the line that did it, and the attributes that changed. An expression uses `self`, its attributes by name, `event`
    and `task`, as in `debug --find`. Runs that cannot be replayed are listed: nobody knows of them. It exits with 1 if
    the expression is true in no run.

    \b
    Examples:
      replaytool find "points == 0 and trips"
      replaytool find "total < 0" --where "status = 'Running'" --code v1=old/wf.py --code v2=wf.py
    """
    from replaytool.render import found_states as answer
    from replaytool.reset.state_points import NO_CODE, StateSearch

    work = code.open_code_session(ctx, **given)
    named = work.find_code_map(given["workflows"], options.parse_build_codes(by_build), git=git, git_ref=git_ref)
    if named is None:
        raise ReplaytoolError("no workflow code given", NO_CODE, code=ErrorCode.CODE_NOT_NAMED)
    plan = code.find_replay_plan(work.settings, **given)
    with code.show_key_progress("replaying") as (_, progress):
        how = StateSearch(named, plan.options, plan.limits) if plan is not None else StateSearch(named)
        found = work.find_states(expression, where, runs, how, progress)
    click.echo(answer.render_json(found) if as_json else answer.render_text(found), nl=False)
    if not found.runs:
        ctx.exit(NOTHING)
    ctx.exit(CLEAN if found.matches else FINDINGS)
