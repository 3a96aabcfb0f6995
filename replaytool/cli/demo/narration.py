"""What the demo prints around its commands: headings, paragraphs, command lines."""

from __future__ import annotations

import shutil
from textwrap import fill

import click

_WIDTH = 96


def print_heading(number: int, title: str) -> None:
    """Print the heading of a step across the terminal."""
    start = f"── {number}. {title} "
    click.echo("\n" + click.style(start + "─" * (_terminal_width() - len(start)), bold=True))


def print_paragraph(text: str) -> None:
    """Print a few sentences, broken to the width of the terminal."""
    click.echo(fill(text, _terminal_width()))


def print_command(line: str) -> None:
    """Print a command as a person would type it."""
    click.echo(click.style(f"\n$ replaytool {line}", fg="cyan"))


def _terminal_width() -> int:
    return min(_WIDTH, shutil.get_terminal_size().columns)
