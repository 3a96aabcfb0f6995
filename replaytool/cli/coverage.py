"""`replaytool coverage`: show which lines of workflow code no history reaches."""

from __future__ import annotations

from typing import Unpack

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS, NOTHING
from replaytool.render import corpus as render
from replaytool.render.tables import encode_json_line as json_line


@click.command
@code.run_choice_options
@click.option(
    "--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT", help="Exit with 1 if coverage is lower."
)
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    fail_under: float | None,
    as_json: bool,
    **given: Unpack[code.RunChoiceGiven],
) -> None:
    """Show which lines and branches of workflow code no history reaches.

    It also lists patches with histories on one side only, and workflow types without a history.

    \b
    Examples:
      replaytool coverage histories/ --workflows app/workflows.py
      replaytool coverage --workflows app.workflows --fail-under 80 --json
    """
    work = code.open_code_session(ctx, **given)
    plan = code.require_replay_plan(work.settings, **given)
    with code.show_key_progress("replaying") as (observer, progress):
        store = work.corpora.open_histories(
            code.choose_sources(work.settings, sources, given["store"] or ctx.obj["store"]), observer
        )
        observer.on_total(len(store.list_runs(code.make_run_filter(**given))))
        found = work.corpora.measure_coverage(store, code.make_run_filter(**given), plan, progress)
    if as_json:
        click.echo(json_line(render.coverage_to_json(found)))
    else:
        click.echo("\n".join(render.format_coverage(found)))
    if not found.histories:
        ctx.exit(NOTHING)
    if fail_under is not None and found.percent_covered < fail_under:
        ctx.exit(FINDINGS)
