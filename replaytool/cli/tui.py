"""`replaytool tui`: the store on the screen."""

from __future__ import annotations

import click

from replaytool.cli import options, session


@click.command
@options.decoding
@options.store
@click.pass_context
def command(ctx: click.Context, /, **settings: str | None) -> None:
    r"""Walk through the store on the screen: runs, a debugger, builds, comparisons, SQL.

    `?` shows the keys. The store is opened for reading only, and the last place, breakpoints and theme come back.

    \b
    Example:
      replaytool tui
    """
    from replaytool.tui import launch

    launch.tui(session(ctx, **settings))
