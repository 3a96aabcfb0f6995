"""Write docs/cli.md from the real --help of every command: `python docs/cli_reference.py`."""

from __future__ import annotations

from pathlib import Path

import click

from replaytool.cli import COMMANDS, cli

TARGET = Path(__file__).with_name("cli.md")


def reference() -> str:
    """The whole page."""
    root = cli.make_context("replaytool", [], resilient_parsing=True, max_content_width=100, terminal_width=100)
    parts = [
        "# Command line reference\n\nGenerated from `--help` by `python docs/cli_reference.py`; do not edit.\n",
        _section("replaytool", cli, root),
    ]
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root, max_content_width=100, terminal_width=100)
        parts.append(_section(f"replaytool {name}", command, context))
    return "\n".join(parts)


def _section(title: str, command: click.Command, context: click.Context) -> str:
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
