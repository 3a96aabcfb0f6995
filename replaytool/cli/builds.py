"""`replaytool builds`: who ran what, and when."""

from __future__ import annotations

import click

from replaytool.cli import session
from replaytool.cli.shared import options
from replaytool.errors import NOTHING
from replaytool.render.tables import as_json as json_line
from replaytool.render.tables import table


@click.command
@options.as_json
@options.store
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, store: str | None) -> None:
    """List the builds that ran something, and when.

    An id marked as a hash is the SDK's default: no build id was set, and it cannot tell versions of the code apart.

    \b
    Example:
      replaytool builds
    """
    found = session(ctx, store=store).builds()
    if as_json:
        click.echo(json_line(found))
    else:
        columns = ("build_id", "deployment_name", "runs", "tasks", "activities", "first_seen", "last_seen", "is_hash")
        click.echo(table(columns, ([row[name] for name in columns] for row in found)), nl=False)
    if not found:
        ctx.exit(NOTHING)
