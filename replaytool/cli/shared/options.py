"""Options that several commands share, written once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from replaytool.errors import ReplaytoolError
from replaytool.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replaytool.ingest import BadFile, Observer

Function = TypeVar("Function", bound=Callable[..., Any])

store = click.option("--store", metavar="FILE", help="The store to use (default: replaytool.duckdb, or as configured).")
as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")


def decoding(function: Function) -> Function:
    """How encoded payloads are read."""
    for option in (
        click.option(
            "--codec-auth",
            metavar="TEXT",
            help="Authorization header for the codec endpoint; better in REPLAYTOOL_CODEC_AUTH.",
        ),
        click.option("--codec-endpoint", metavar="URL", help="Codec server that decodes payloads."),
        click.option("--converter", metavar="MODULE:ATTR", help="A temporalio DataConverter that decodes payloads."),
    ):
        function = option(function)
    return function


def by_build(given: Sequence[str]) -> dict[str, str]:
    """What several `--code BUILD=CODE` say."""
    pairs = [one.partition("=") for one in given]
    wrong = next((build for build, _, code in pairs if not (build and code)), None)
    if wrong is not None:
        raise ReplaytoolError(f"--code {wrong!r} names no build and its code", "write --code BUILD=MODULE-OR-PATH")
    return {build: code for build, _, code in pairs}


def stdout() -> BinaryIO:
    """Standard output for bytes."""
    return sys.stdout.buffer


def say(text: str) -> None:
    """A line about the work, which is no result."""
    print(text, file=sys.stderr)


def bad_file_line(bad: BadFile) -> str:
    """Which file, where in it, why, and what to do: one line."""
    place = f" ({bad.position})" if bad.position else ""
    hint = f"; {bad.hint}" if bad.hint else ""
    return visible(f"{bad.name}{place}: {bad.reason}{hint}")


@contextmanager
def watching(what: str) -> Iterator[Observer]:
    """Tell a person who watches a terminal how far it is; bad files are told to everybody, as they come."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from replaytool.ingest import Observer

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def on_file(name: str, events: int) -> None:
            progress.advance(task)

        def on_bad(bad: BadFile) -> None:
            progress.advance(task)
            console.print(bad_file_line(bad), markup=False, highlight=False, soft_wrap=True)

        yield Observer(on_file, on_bad)
