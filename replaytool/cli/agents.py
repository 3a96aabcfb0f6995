"""`replaytool agents install`: tell coding agents how to check this project."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

import click

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.text import escape_controls


@click.group("agents")
def command() -> None:
    """Help coding agents to check workflow code.

    \b
    Example:
      replaytool agents install
    """


@command.command("install")
@click.option("--yes", is_flag=True, help="Change the files without asking.")
@click.option("--dry-run", is_flag=True, help="Print the changes, and write nothing.")
def install(*, yes: bool, dry_run: bool) -> None:
    """Write a short skill, and a section for AGENTS.md, into the project of this folder.

    They say when to check, how to read the answer, how to fix a divergence, and when to ask a person. The command shows
    each change and asks before it writes. The same command later replaces its own section and nothing else.

    \b
    Examples:
      replaytool agents install
      replaytool agents install --dry-run
    """
    from replaytool.project.agent_files import propose_agent_files, write_agent_file

    folder = Path.cwd()
    try:
        for change in propose_agent_files(folder):
            if not change.is_needed:
                click.echo(f"{change.path}: up to date")
                continue
            old = (change.before or "").splitlines()
            shown = unified_diff(old, change.after.splitlines(), change.path, change.path, lineterm="")
            click.echo("\n".join(escape_controls(line) for line in shown))
            if dry_run:
                continue
            if yes or click.confirm(f"{'Write' if change.is_new else 'Change'} {change.path}?"):
                write_agent_file(folder, change)
                click.echo(f"{change.path}: wrote")
            else:
                click.echo(f"{change.path}: left as it is")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplaytoolError(
            f"cannot read or write the files for agents: {error}",
            "correct the file, or write it by hand with the text of --dry-run",
            code=ErrorCode.OUTPUT_UNWRITABLE,
        ) from error
