"""`replaytool builds`: list the builds that ran tasks."""

from __future__ import annotations

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import NOTHING
from replaytool.render.tables import encode_json_line as json_line
from replaytool.render.tables import find_terminal_width, format_table


@click.command
@options.as_json
@options.store
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, store: str | None) -> None:
    """List the builds that ran workflow tasks or activities, and when.

    IS HASH marks the SDK's default build ID: nobody set one, and two versions of the code can share it.

    \b
    Example:
      replaytool builds
    """
    found = open_session(ctx, store=store).list_builds()
    if as_json:
        click.echo(json_line(found))
    else:
        columns = ("build_id", "deployment_name", "runs", "tasks", "activities", "first_seen", "last_seen", "is_hash")
        rows = ([row.get(name) for name in columns] for row in found)
        click.echo(format_table(columns, rows, width=find_terminal_width()), nl=False)
    if not found:
        ctx.exit(NOTHING)
