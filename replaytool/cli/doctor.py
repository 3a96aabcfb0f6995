"""`replaytool doctor`: what works here, and what is missing for what."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from replaytool import config
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS, ReplaytoolError
from replaytool.render.tables import as_json as json_line
from replaytool.text import visible

if TYPE_CHECKING:
    from replaytool.doctor import Finding

_MARKS = {"ok": "✔", "missing": "·", "wrong": "✗"}


@click.command
@options.as_json
@options.store
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, store: str | None) -> None:
    """Tell versions, configuration, store and code, and what is missing for what.

    Exits with 1 where something that is configured does not work.

    \b
    Example:
      replaytool doctor
    """
    from replaytool.doctor import Finding, examine

    try:
        found = list(examine(config.load(ctx.obj | ({"store": store} if store else {}))))
    except ReplaytoolError as error:
        found = [Finding("configuration", "wrong", error.message, error.hint)]
    if as_json:
        click.echo(json_line([asdict(one) for one in found]))
    else:
        width = max(len(one.what) for one in found)
        for one in found:
            click.echo(_line(one, width))
    if any(one.state == "wrong" for one in found):
        ctx.exit(FINDINGS)


def _line(one: Finding, width: int) -> str:
    hint = f": {one.hint}" if one.hint else ""
    return visible(f"{_MARKS[one.state]} {one.what:{width}}  {one.says}{hint}", keep="\n")
