"""`replaytool export`: write runs in the formats that other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.formats.temporal.export import EXPORTS
from replaytool.session import open_output

_ENDINGS = {"json": ".json", "binary": ".binpb"}


@click.command
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@click.option("--format", "format_name", type=click.Choice(list(EXPORTS)), default="json", show_default=True)
@click.option("-o", "--output", metavar="PLACE", help="A file for one run, a folder for several (default: stdout).")
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, runs: tuple[str, ...], format_name: str, output: str | None, store: str | None
) -> None:
    """Export runs in the formats that Temporal's own tools read: proto JSON, or the binary History.

    \b
    Examples:
      replaytool export order-17 > order-17.json
      replaytool export order-17 order-18 -o histories/ --format binary
    """
    if len(runs) > 1 and (output is None or (Path(output).exists() and not Path(output).is_dir())):
        raise ReplaytoolError("several runs need a folder", "add -o FOLDER", code=ErrorCode.OUTPUT_PATH_NEEDED)
    work = open_session(ctx, store=store)
    for name in runs:
        row, events = work.read_history(name)
        data = EXPORTS[format_name](events)
        if output is None:
            options.binary_stdout().write(data)
        else:
            target = _choose_target(output, row.run_key, format_name, several=len(runs) > 1)
            with open_output(str(target)) as stream:
                stream.write(data)


def _choose_target(output: str, run_key: str, format_name: str, *, several: bool) -> Path | str:
    if not several and not output.endswith("/") and not Path(output).is_dir():
        return output
    if "://" in output:
        return f"{output.rstrip('/')}/{run_key}{_ENDINGS[format_name]}"
    Path(output).mkdir(parents=True, exist_ok=True)
    return Path(output) / f"{run_key}{_ENDINGS[format_name]}"
