"""Where reports go, and what a report means for the exit code: the same for every command that has one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replaytool.cli import INTERRUPTED, options
from replaytool.errors import CLEAN, FINDINGS, NOTHING, ReplaytoolError
from replaytool.render import RENDERERS

if TYPE_CHECKING:
    from replaytool.verdict import Report

Function = TypeVar("Function", bound=Callable[..., Any])
Output = tuple[str, str | None]


def formats(function: Function) -> Function:
    """The option that says which reports are wanted, and where."""
    return click.option(
        "--format",
        "formats",
        multiple=True,
        metavar="FORMAT[:PATH]",
        help=f"{', '.join(RENDERERS)}; to stdout or a file. Repeatable.",
    )(function)


def outputs(given: Sequence[str]) -> list[Output]:
    """Which formats go where."""
    return [_output(one) for one in given or ("text",)]


def _output(text: str) -> Output:
    name, _, path = text.partition(":")
    if name not in RENDERERS:
        raise ReplaytoolError(f"there is no report format {name!r}", f"choose from {', '.join(RENDERERS)}")
    return name, path or None


def publish(report: Report, wanted: Sequence[Output]) -> None:
    """Write every report; under GitHub Actions tell GitHub too, beside what was asked for."""
    from replaytool.render import render
    from replaytool.session import open_output

    for name, path in wanted:
        text = render(report, name)
        if path is None:
            click.echo(text, nl=False)
        else:
            with open_output(path) as stream:
                stream.write(text.encode())
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(report, is_told=any(name == "github" for name, _ in wanted))


def _tell_github(report: Report, *, is_told: bool) -> None:
    """Annotations are read from stderr as well, so that stdout keeps the report that was asked for."""
    from replaytool.render import github

    if not is_told:
        sys.stdout.flush()
        print(github.render(report), end="", file=sys.stderr)
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        path = Path(place)
        try:
            already = path.stat().st_size if path.exists() else 0
            with path.open("a", encoding="utf-8") as stream:
                stream.write(github.summary(report, already))
        except OSError as error:
            options.say(f"the step's summary was not written: {error}")


def exit_code(report: Report) -> int:
    """What the report says to a script."""
    if not report.complete:
        return INTERRUPTED
    if any(report.fails(one) for one in report.runs):
        return FINDINGS
    if not report.runs:
        options.say("nothing to check: no runs were found")
        return NOTHING
    return CLEAN
