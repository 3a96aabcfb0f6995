"""Write docs/cli.md from the real --help of every command: `python docs/tools/cli_reference.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from replaytool.cli import cli

WIDTH: dict[str, Any] = {"max_content_width": 100, "terminal_width": 100}
TARGET = Path(__file__).parents[1] / "cli.md"


def reference() -> str:
    """The whole page."""
    root = cli.make_context("replaytool", [], resilient_parsing=True, **WIDTH)
    head = "# Command line reference\n\nGenerated from `--help` by `python docs/tools/cli_reference.py`; do not edit.\n"
    return "\n".join([head, *_sections("replaytool", cli, root)])


def _sections(title: str, command: click.Command, context: click.Context) -> Iterator[str]:
    """A command, and the commands below it."""
    yield _section(title, command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _sections(
                f"{title} {name}", below, click.Context(below, parent=context, info_name=name, **WIDTH)
            )


def _section(title: str, command: click.Command, context: click.Context) -> str:
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
