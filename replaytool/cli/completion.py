"""`replaytool completion`: print a shell completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from replaytool.cli import cli

_VARIABLE = "_REPLAYTOOL_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print a script that completes commands and options in your shell.

    \b
    Examples:
      eval "$(replaytool completion bash)"                                   # in ~/.bashrc
      eval "$(replaytool completion zsh)"                                    # in ~/.zshrc
      replaytool completion fish > ~/.config/fish/completions/replaytool.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "replaytool", _VARIABLE).source())
