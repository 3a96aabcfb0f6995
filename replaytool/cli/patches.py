"""`replaytool patches`: say which patches are still needed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Unpack

import click

from replaytool.cli.pull import server_options
from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.cli.shared import report_output as reports
from replaytool.errors import FINDINGS, NOTHING, ErrorCode, ReplaytoolError
from replaytool.model.pull_options import OPEN_RUNS, PullOptions
from replaytool.model.server_options import ServerOptions
from replaytool.render import patches as render
from replaytool.render.tables import encode_json_line as json_line
from replaytool.time_parsing import parse_time_span


class _PatchesGiven(code.RunChoiceGiven):
    address: str | None
    namespace: str | None
    profile: str | None
    config_file: str | None
    api_key: str | None
    tls: bool | None
    tls_cert: str | None
    tls_key: str | None
    tls_ca: str | None
    tls_server_name: str | None
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
@click.option(
    "-q", "--query", metavar="QUERY", default=OPEN_RUNS, help="With --address: the runs to fetch (default: open ones)."
)
@server_options
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, sources: tuple[str, ...], query: str, **given: Unpack[_PatchesGiven]) -> None:
    """List the patches of the histories and of the code, and say of each: keep, deprecate now or delete.

    A verdict is proven by a replay of the open runs with the calls of the patch changed. `deprecate now`: they follow
    the new branch alone. `delete`: they replay without the call. An open run that cannot be verified means keep.

    It reads the store or the named files; with --address, the open runs of a server, and stores nothing. It exits with
    1 if a history has a marker whose call is gone, or the code a call whose marker no history has.

    \b
    Examples:
      replaytool patches --workflows app/workflows.py
      replaytool patches --workflows app/ --retention 30d --fix -o patches.diff
      replaytool patches --workflows app/ --address localhost:7233
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
            _make_pull(query, given),
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


def _make_pull(query: str, given: _PatchesGiven) -> PullOptions | None:
    """Return what to fetch from the server; None without --address or --profile."""
    server = ServerOptions(**{one.name: given[one.name] for one in fields(ServerOptions)})  # type: ignore[literal-required]
    return PullOptions(server=server, query=query) if server.address or server.profile else None
