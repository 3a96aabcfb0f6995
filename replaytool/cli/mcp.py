"""`replaytool mcp`: serve coding agents."""

from __future__ import annotations

from pathlib import Path

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import ErrorCode, ReplaytoolError


@click.command
@click.option(
    "--root", "roots", multiple=True, type=click.Path(exists=True, file_okay=False),
    help="A folder whose files a client may name (default: this folder). Repeatable.",
)  # fmt: skip
@click.option(
    "--allow-run", multiple=True, type=click.Path(exists=True),
    help="Workflow code that a client may have replayed: a file or folder. Repeatable; without it, none is run.",
)  # fmt: skip
@click.option("--timeout", type=click.FloatRange(1), default=300.0, show_default=True, help="Seconds for one call.")
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, roots: tuple[str, ...], allow_run: tuple[str, ...], timeout: float, store: str | None
) -> None:
    """Serve coding agents over standard input and output (Model Context Protocol).

    The tools check code, name guilty edits, propose fixes, explain divergences, look into runs, simulate and plan
    resets. None of them writes a file of the project, contacts a server, or resets or signals a workflow. An answer has
    at most 800 tokens, and text from histories is marked as data. It needs the package mcp: pip install
    'replaytool[mcp]'.

    \b
    Example:
      replaytool mcp --allow-run .
    """
    from replaytool.mcp_server.access import Access
    from replaytool.mcp_server.desk import Desk

    try:
        from replaytool.mcp_server.serve import serve_stdio
    except ModuleNotFoundError as missing:
        raise ReplaytoolError(
            f"the package {missing.name} is not installed",
            "pip install 'replaytool[mcp]'",
            code=ErrorCode.MCP_PACKAGE,
        ) from missing
    here = Path.cwd().resolve()
    settings = open_session(ctx, store=store).settings
    access = Access(
        here,
        tuple(Path(one).resolve() for one in roots) or (here,),
        tuple(Path(one).resolve() for one in allow_run),
        Path(settings.store).resolve(),
    )
    serve_stdio(Desk(access, timeout))
