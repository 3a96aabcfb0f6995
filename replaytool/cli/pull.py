"""`replaytool pull`: fetch histories from a Temporal server into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replaytool.cli import load, open_session
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS
from replaytool.render.tables import encode_json_line as json_line
from replaytool.text import count_noun

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaytool.model.pull_options import PullOptions

_SERVER = (
    click.option("--address", metavar="HOST:PORT", help="The server (default: TEMPORAL_ADDRESS or localhost:7233)."),
    click.option("-n", "--namespace", metavar="NAME", help="The namespace (default: TEMPORAL_NAMESPACE or default)."),
    click.option("--profile", metavar="NAME", help="A profile of the Temporal configuration file."),
    click.option(
        "--config-file", metavar="FILE", help="The Temporal configuration file (default: that of the `temporal` tool)."
    ),
    click.option(
        "--api-key", metavar="KEY", help="An API key; better set TEMPORAL_API_KEY, which other users cannot see."
    ),
    click.option("--tls/--no-tls", default=None, help="Use TLS or not, whatever the configuration says."),
    click.option("--tls-cert", metavar="FILE", help="The client certificate (PEM)."),
    click.option("--tls-key", metavar="FILE", help="The client certificate's key (PEM)."),
    click.option(
        "--tls-ca", metavar="FILE", help="The certificate of the authority that signed the server's certificate (PEM)."
    ),
    click.option("--tls-server-name", metavar="NAME", help="The name in the server's certificate."),
)


def server_options(function: Callable[..., object]) -> Callable[..., object]:
    """Add the options that name a Temporal server, spelled as in the official CLI."""
    for option in reversed(_SERVER):
        function = option(function)
    return function


@click.command
@click.option("-q", "--query", metavar="QUERY", default="", help="Only runs that this visibility query finds.")
@click.option(
    "--since", metavar="TIME", help="Only runs that started or closed since then: 2h, 3d, or an ISO 8601 time."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N runs that the server lists.")
@click.option(
    "-w",
    "--workflow-id",
    "workflow_ids",
    multiple=True,
    metavar="ID",
    help="The latest run of this workflow ID. Repeatable.",
)
@click.option("-r", "--run-id", metavar="ID", help="This run of --workflow-id, not the latest.")
@click.option(
    "--only-new/--all",
    default=True,
    help="Fetch only new and grown runs (the default), or all runs again.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 200),
    default=10,
    show_default=True,
    metavar="N",
    help="Fetch N runs at once.",
)
@click.option("--skip-bad", is_flag=True, help="Exit with 0 even if some runs could not be fetched.")
@click.option("--decode", is_flag=True, help="Decode payloads with the codec before storing them.")
@server_options
@options.decoding_options
@options.as_json
@options.store
@click.pass_context
def command(ctx: click.Context, /, skip_bad: bool, decode: bool, as_json: bool, **given: Any) -> None:
    """Fetch histories from a Temporal server into the store.

    Server, namespace and credentials are those of the official `temporal` tool: its TEMPORAL_* variables, its
    configuration file and profiles; without any, localhost:7233. Runs that the store has in full are not fetched again;
    runs that have grown replace the shorter history.

    \b
    Examples:
      replaytool pull --query "WorkflowType = 'Loyalty'" --since 3d
      replaytool pull --profile prod --limit 1000
      replaytool pull -w order-17
    """
    from replaytool.model.pull_options import PullProgress

    wanted, settings = _split_pull_options(given)
    tally = PullProgress()
    with options.show_load_progress("pulling") as observer:
        report = open_session(ctx, **settings).pull_runs(wanted, observer, tally, decode=decode)
    counts = {"listed": tally.listed, "unchanged": tally.unchanged}
    if as_json:
        click.echo(json_line({**counts, **load.load_report_to_json(report)}).decode())
    else:
        click.echo(f"{count_noun(tally.listed, 'run')} listed, {tally.unchanged:,} unchanged")
        click.echo(load.summarize_load(report))
    if report.bad and not skip_bad:
        ctx.exit(FINDINGS)


def _split_pull_options(given: dict[str, Any]) -> tuple[PullOptions, dict[str, Any]]:
    """Split the options into those of the pull and those of the session."""
    from dataclasses import fields

    from replaytool.model.pull_options import PullOptions
    from replaytool.model.server_options import ServerOptions

    server = ServerOptions(**{one.name: given.pop(one.name) for one in fields(ServerOptions)})
    names = {one.name for one in fields(PullOptions)} & given.keys()
    return PullOptions(server=server, **{name: given.pop(name) for name in names}), given
