"""`replaytool runs`: list the loaded runs."""

from __future__ import annotations

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import NOTHING
from replaytool.render.tables import encode_json_line as json_line
from replaytool.render.tables import find_terminal_width, format_table
from replaytool.text import count_noun

_COLUMNS = (
    "run_key", "workflow_id", "run_id", "workflow_type", "status", "started_at", "event_count", "first_build",
    "last_build",
)  # fmt: skip


@click.command
@click.option("--type", "workflow_type", metavar="TYPE", help="Only this workflow type.")
@click.option("--status", metavar="STATUS", help="Only this status: Running, Completed, Failed, …")
@click.option("--build", metavar="BUILD", help="Only runs that this build took part in.")
@click.option("--since", metavar="TIME", help="Only runs started since then: 2h, 3d, or an ISO 8601 time.")
@click.option("--until", metavar="TIME", help="Only runs started before then: 2h, 3d, or an ISO 8601 time.")
@click.option("--problem", metavar="CODE", help="Only runs with this problem: blind, same-ids, …")
@click.option("--verdict", metavar="VERDICT", help="Only runs with this verdict in the last check: ok, diverged, …")
@click.option("--where", metavar="SQL", help="Only runs that match this SQL condition on the view `runs`.")
@click.option("--limit", type=click.IntRange(0), metavar="N", help="List at most N runs.")
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, where: str | None, limit: int | None, as_json: bool, store: str | None, **filters: str | None
) -> None:
    """List the loaded runs, oldest first.

    \b
    Examples:
      replaytool runs --type Loyalty --status Running --build v2
      replaytool runs --where "event_count > 1000 AND sdk_version < '1.20'"
    """
    from replaytool.store import RunFilter

    given = tuple((name, value) for name, value in filters.items() if value is not None)
    found = open_session(ctx, store=store).list_runs(RunFilter(given, where), limit)
    if as_json:
        click.echo(json_line([row.values for row in found]).decode())
    else:
        rows = ([row.values[name] for name in _COLUMNS] for row in found)
        click.echo(format_table(_COLUMNS, rows, width=find_terminal_width()), nl=False)
        click.echo(count_noun(len(found), "run"))
    if not found:
        ctx.exit(NOTHING)
