"""`replaytool scrub`: replace user data in histories and prove that they still replay the same."""

from __future__ import annotations

import os
from typing import Unpack

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS, NOTHING
from replaytool.render import scrub as render
from replaytool.render.tables import encode_json_line as json_line

_RULES = "key:NAME, path:PATTERN, match:REGEX, type:text or type:number. Repeatable."


@click.command
@code.run_choice_options_for(600.0)
@click.option("--only", multiple=True, metavar="RULE", help=f"Replace only what matches: {_RULES}")
@click.option("--keep", multiple=True, metavar="RULE", help="Do not replace what matches. Repeatable.")
@click.option(
    "--key",
    envvar="REPLAYTOOL_SCRUB_KEY",
    metavar="TEXT",
    help="Equal values get equal pseudonyms under the same key; better set REPLAYTOOL_SCRUB_KEY.",
)
@click.option(
    "-o", "--output", metavar="FOLDER", default="scrubbed", show_default=True, help="Folder for the scrubbed histories."
)
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    only: tuple[str, ...],
    keep: tuple[str, ...],
    key: str | None,
    output: str,
    as_json: bool,
    **given: Unpack[code.RunChoiceGiven],
) -> None:
    """Replace user data in histories by pseudonyms of the same type and shape, and write the results into a folder.

    The command replays each history before and after, and accepts it only if verdict and commands are the same. If they
    are not, it keeps as few original values as possible, and lists them. Without --only it replaces all user data. It
    exits with 1 if a history was not accepted.

    \b
    Examples:
      replaytool scrub exported/ --workflows app/workflows.py -o tests/histories
      replaytool scrub exported/ -w app/ --only key:email --only 'match:[0-9]{16}' --keep key:currency
    """
    from replaytool.replay.scrub.rules import parse_rules

    parse_rules(only, keep)
    work = code.open_code_session(ctx, **given)
    plan = code.require_replay_plan(work.settings, **given)
    secret = key.encode().hex() if key else os.urandom(32).hex()
    argument = {"only": only, "keep": keep, "key": secret}
    with code.show_key_progress("scrubbing") as (observer, progress):
        store = work.corpora.open_histories(sources, observer)
        observer.on_total(len(store.list_runs(code.make_run_filter(**given))))
        found = work.corpora.scrub_histories(store, code.make_run_filter(**given), plan, argument, output, progress)
    if not key:
        options.print_note("no --key given: the next call uses other pseudonyms")
    if as_json:
        click.echo(json_line(render.scrub_to_json(found)))
    else:
        click.echo("\n".join(render.format_scrub(found)))
    if not found:
        ctx.exit(NOTHING)
    if any(one.found.reason for one in found):
        ctx.exit(FINDINGS)
