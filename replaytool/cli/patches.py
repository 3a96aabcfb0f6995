"""`replaytool patches`: say which patches are still needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.cli.shared import report_output as reports
from replaytool.errors import FINDINGS, NOTHING, ErrorCode, ReplaytoolError
from replaytool.render import patches as render
from replaytool.render.tables import encode_json_line as json_line
from replaytool.time_parsing import parse_time_span


class _PatchesGiven(code.RunChoiceGiven):
    engine: str
    patch: tuple[str, ...]
    complete: bool
    retention: str | None
    fix: bool
    output: str | None
    as_json: bool


@click.command
@code.run_choice_options
@click.option("--patch", multiple=True, metavar="ID", help="Only this patch. Repeatable.")
@click.option(
    "--engine",
    type=click.Choice(("auto", "direct", "sdk", "both")),
    default="both",
    show_default=True,
    help="both: each run with both engines, and they must agree. auto is faster.",
)
@click.option("--complete", is_flag=True, help="All open runs are given: a type without one needs no patch.")
@click.option("--retention", metavar="SPAN", help="How long the server keeps closed runs: 72h, 30d.")
@click.option(
    "--fix", is_flag=True, help="Remove the branches that no run needs, and offer the diff if replays prove it."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="With --fix: write the diff for `git apply`.",
)
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, sources: tuple[str, ...], **given: Unpack[_PatchesGiven]) -> None:
    """List the patches of the histories and of the code, and say of each: keep, deprecate now or delete.

    A verdict is proven by a replay of the open runs with the calls of the patch changed. `deprecate now`: they follow
    the new branch alone. `delete`: they replay without the call. An open run that cannot be verified means keep.

    It reads the store or the named files, and contacts no server: pull the open runs first. It exits with 1 if a
    history has a marker whose call is gone, or the code a call whose marker no history has.

    \b
    Examples:
      replaytool patches --workflows app/workflows.py
      replaytool patches --workflows app/ --retention 30d --fix -o patches.diff
      replaytool check --workflows app/ --without by-bike
    """
    from replaytool.check.patches.judge import PatchRequest

    if given["output"] and not given["fix"]:
        raise ReplaytoolError(
            "--output needs --fix: it names the file for the diff", "add --fix", code=ErrorCode.USAGE_COMBINATION
        )
    span = parse_time_span(given["retention"]) if given["retention"] is not None else None
    work = code.open_code_session(ctx, **given)
    plan = replace(code.require_replay_plan(work.settings, **given), engine=given["engine"])
    with code.show_key_progress("loading") as (observer, _):
        found = work.survey_patches(
            code.choose_sources(work.settings, sources, given["store"] or ctx.obj["store"]),
            code.make_run_filter(**given),
            plan,
            PatchRequest(given["patch"], given["complete"], span, given["fix"]),
            observer,
        )
    if given["as_json"]:
        click.echo(json_line(render.patches_to_json(found)))
    else:
        click.echo("\n".join(render.list_patch_lines(found)))
    if given["output"] and found.fix is not None:
        reports.write_fix(found.fix, given["output"])
    if not found.open_runs + found.closed_runs:
        ctx.exit(NOTHING)
    if found.has_findings:
        ctx.exit(FINDINGS)
