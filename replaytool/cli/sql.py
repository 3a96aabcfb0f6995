"""`replaytool sql`: query the store with SQL."""

from __future__ import annotations

import sys

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.render.tables import OUTPUTS


@click.command
@click.argument("query")
@click.option("--format", "format_name", type=click.Choice(list(OUTPUTS)), help="Format of the result.")
@click.option("-o", "--output", metavar="FILE", help="A file or s3://…; its extension chooses the format.")
@click.option("--allow-files", is_flag=True, help="Let the query read and write files and attach databases.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@options.store
@click.pass_context
def command(
    ctx: click.Context,
    /,
    query: str,
    format_name: str | None,
    output: str | None,
    allow_files: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """Query the store with SQL (DuckDB).

    The views: runs, events, activities, tasks, signals, updates, timers, children, markers, builds, reset_points,
    verdicts, problems. `DESCRIBE runs` lists the columns of a view. The query cannot change the store.

    \b
    Examples:
      replaytool sql "SELECT activity_type, count(*) FROM activities WHERE outcome = 'Failed' GROUP BY ALL"
      replaytool sql "FROM runs" -o s3://reports/runs.parquet
    """
    from replaytool.session import open_output

    if as_json and format_name not in (None, "json"):
        raise ReplaytoolError(
            f"--json and --format {format_name} cannot be combined",
            "use one of them",
            code=ErrorCode.USAGE_COMBINATION,
        )
    chosen = "json" if as_json else format_name or _choose_format_by_ending(output)
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise ReplaytoolError("cannot print Parquet on a terminal", "add -o FILE", code=ErrorCode.OUTPUT_PATH_NEEDED)
    with open_session(ctx, store=store).run_sql(query, allow_files=allow_files) as batches:
        if output is None:
            OUTPUTS[chosen](batches, options.binary_stdout())
        else:
            with open_output(output) as stream:
                OUTPUTS[chosen](batches, stream)


def _choose_format_by_ending(output: str | None) -> str:
    ending = (output or "").rpartition(".")[2]
    return ending if ending in OUTPUTS else "table"
