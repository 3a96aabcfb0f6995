"""`replaytool doctor`: check the installation and the configuration."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from replaytool import config
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS, ReplaytoolError, append_code
from replaytool.render.tables import encode_json_line as json_line
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.doctor import DoctorFinding

_MARKS = {"ok": "✔", "missing": "·", "wrong": "✗"}


@click.command
@options.as_json
@options.store
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, store: str | None) -> None:
    """Show versions, configuration, store and code, and what is missing for which command.

    The command exits with 1 if a configured part does not work.

    \b
    Example:
      replaytool doctor
    """
    from replaytool.doctor import DoctorFinding, examine_installation

    try:
        found = list(examine_installation(config.load_settings(ctx.obj | ({"store": store} if store else {}))))
    except ReplaytoolError as error:
        found = [DoctorFinding("configuration", "wrong", append_code(error.message, error.code), error.hint)]
    if as_json:
        click.echo(json_line([asdict(one) for one in found]))
    else:
        width = max(len(one.what) for one in found)
        for one in found:
            click.echo(_format_finding(one, width))
    if any(one.state == "wrong" for one in found):
        ctx.exit(FINDINGS)


def _format_finding(one: DoctorFinding, width: int) -> str:
    hint = f": {one.hint}" if one.hint else ""
    return escape_controls(f"{_MARKS[one.state]} {one.what:{width}}  {one.says}{hint}", keep="\n")
