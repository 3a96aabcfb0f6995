"""`replaytool formats`: list the file formats that can be loaded."""

from __future__ import annotations

import click

from replaytool.cli.shared import options
from replaytool.formats import Format, PlaceFormat, list_formats, list_place_formats
from replaytool.formats.unsupported import UnsupportedFormat
from replaytool.render.tables import encode_json_line as json_line
from replaytool.render.tables import find_terminal_width, format_table


@click.command
@options.as_json
def command(as_json: bool) -> None:
    """List the formats that can be loaded, and those that are only recognised.

    \b
    Example:
      replaytool formats
    """
    known: list[Format | PlaceFormat] = [*list_formats(), *list_place_formats()]
    rows: list[dict[str, object]] = [
        {"format": one.name, "engine": one.engine, "loads": not isinstance(one, UnsupportedFormat), "about": one.about}
        for one in known
    ]
    if as_json:
        click.echo(json_line(rows))
    else:
        click.echo(
            format_table(
                ("format", "engine", "loads", "about"),
                (list(row.values()) for row in rows),
                widest=None,
                width=find_terminal_width(),
            ),
            nl=False,
        )
