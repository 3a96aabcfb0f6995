"""`replaytool tui`: open the store on the screen."""

from __future__ import annotations

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options


@click.command
@click.option("-w", "--workflows", multiple=True, metavar="CODE", help="One code for all builds. Repeatable.")
@click.option("--code", "builds", multiple=True, metavar="BUILD=CODE", help="The code of one build. Repeatable.")
@click.option("--git", is_flag=True, help="Build IDs are commits or refs of the repository of --workflows.")
@options.decoding_options
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, workflows: tuple[str, ...], builds: tuple[str, ...], git: bool, **settings: str | None
) -> None:
    """Open the store on the screen: runs, debugger, causes, builds, resets, comparison, SQL.

    `?` shows the keys. The screens write nothing into the store but the verdicts of a check. The next call restores the
    last position, breakpoints and theme.

    \b
    Examples:
      replaytool tui
      replaytool tui --code v1=old/workflows.py --code v2=app/workflows.py
    """
    from replaytool.tui import launch

    work = open_session(ctx, **settings)
    launch.launch_tui(work, code=work.find_code_map(workflows, options.parse_build_codes(builds), git=git))
