"""`replaytool select`: choose the histories that are worth keeping next to the code."""

from __future__ import annotations

from typing import Unpack

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import NOTHING
from replaytool.render import corpus as render
from replaytool.render.tables import encode_json_line as json_line


@click.command
@code.run_choice_options
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="Choose at most N, those that add most.")
@click.option(
    "-o", "--output", metavar="FOLDER", default="histories", show_default=True, help="Folder for the chosen histories."
)
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    most: int | None,
    output: str,
    as_json: bool,
    **given: Unpack[code.RunChoiceGiven],
) -> None:
    """Choose the fewest histories that cover what all of them cover, and copy them into a folder to commit.

    Coverage counts workflow types, command shapes (which command follows which), event types and both sides of patches.
    With --workflows it also counts the lines and branches of the code that a replay reaches. The same histories always
    give the same choice.

    \b
    Examples:
      replaytool select exported/ --workflows app/workflows.py -o tests/histories
      replaytool select --where "started_at > '2026-01-01'" --max 20 -o tests/histories
    """
    work = code.open_code_session(ctx, **given)
    plan = code.find_replay_plan(work.settings, **given)
    with code.show_key_progress("comparing") as (observer, progress):
        store = work.corpora.open_histories(
            code.choose_sources(work.settings, sources, given["store"] or ctx.obj["store"]), observer
        )
        observer.on_total(len(store.list_runs(code.make_run_filter(**given))))
        found = work.corpora.select_histories(store, code.make_run_filter(**given), plan, most, output, progress)
    if as_json:
        click.echo(json_line(render.selection_to_json(found)))
    else:
        click.echo("\n".join(render.format_selection(found)))
    if not found.files:
        ctx.exit(NOTHING)
