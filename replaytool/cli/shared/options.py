"""Options that several commands share, and what they print while they work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import click

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.text import cut_long_words, escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replaytool.ingest import BadFile, LoadObserver

Function = TypeVar("Function", bound=Callable[..., object])

store = click.option("--store", metavar="FILE", help="The store file (default: as configured, else replaytool.duckdb).")
as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")


def decoding_options(function: Function) -> Function:
    """Add the options that say how to decode payloads."""
    for option in (
        click.option(
            "--codec-auth",
            metavar="TEXT",
            help="Authorization header for the codec server; better set REPLAYTOOL_CODEC_AUTH.",
        ),
        click.option("--codec-endpoint", metavar="URL", help="Decode payloads with this codec server."),
        click.option("--converter", metavar="MODULE:ATTR", help="Decode payloads with this temporalio DataConverter."),
    ):
        function = option(function)
    return function


def parse_build_codes(given: Sequence[str]) -> dict[str, str]:
    """Parse every `--code BUILD=CODE` into a mapping."""
    pairs = [one.partition("=") for one in given]
    wrong = next((build for build, _, code in pairs if not (build and code)), None)
    if wrong is not None:
        raise ReplaytoolError(
            f"--code {wrong!r} must name a build and its code",
            "write --code BUILD=MODULE-OR-PATH",
            code=ErrorCode.CODE_BUILD_FORM,
        )
    return {build: code for build, _, code in pairs}


def binary_stdout() -> BinaryIO:
    """Return standard output as a binary stream."""
    return sys.stdout.buffer


def print_note(text: str) -> None:
    """Print a line about the work on stderr; results go to stdout."""
    print(text, file=sys.stderr)


def format_bad_file(bad: BadFile) -> str:
    """Format a refused file in one line: name, position, reason, hint."""
    place = f" ({bad.position})" if bad.position else ""
    hint = f"; {bad.hint}" if bad.hint else ""
    return cut_long_words(escape_controls(f"{bad.name}{place}: {bad.reason} [{bad.code}]{hint}"))


@contextmanager
def show_load_progress(what: str) -> Iterator[LoadObserver]:
    """Show a progress bar on a terminal, and print every refused file as it comes."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from replaytool.ingest import LoadObserver

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def on_file(name: str, events: int) -> None:
            progress.advance(task)

        def on_bad(bad: BadFile) -> None:
            progress.advance(task)
            console.print(format_bad_file(bad), markup=False, highlight=False, soft_wrap=True)

        def on_total(number: int) -> None:
            progress.reset(task, total=number)

        yield LoadObserver(on_file, on_bad, on_total)
