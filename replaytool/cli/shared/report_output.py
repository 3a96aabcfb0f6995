"""Where reports go, and what a report means for the exit code: the same for every command that has one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replaytool.cli import INTERRUPTED
from replaytool.cli.shared import options
from replaytool.errors import CLEAN, FINDINGS, NOTHING, ReplaytoolError
from replaytool.render import RENDERERS
from replaytool.text import visible

if TYPE_CHECKING:
    from replaytool.model.verdict import CheckReport

Function = TypeVar("Function", bound=Callable[..., Any])
Output = tuple[str, str | None]
_FOR_PEOPLE = frozenset({"text", "github", "markdown"})
"""What can follow other text; a program that reads stdout must find its one report there and nothing else."""


def formats(function: Function) -> Function:
    """The option that says which reports are wanted, and where."""
    return click.option(
        "--format",
        "formats",
        multiple=True,
        metavar="FORMAT[:PATH]",
        help=f"{', '.join(RENDERERS)}; to stdout or a file. Repeatable.",
    )(function)


def baseline(function: Function) -> Function:
    """The options that accept what is wrong already."""
    for option in (
        click.option("--update-baseline", is_flag=True, help="Write what fails now to the baseline, and pass."),
        click.option(
            "--baseline",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Findings that are listed there are known and do not fail.",
        ),
    ):
        function = option(function)
    return function


def probe(wanted: Sequence[Output], *, baseline: Path | None, update_baseline: bool) -> None:
    """Complain before the work about what the reports and the baseline would fail on after it."""
    from replaytool.check import baseline as known
    from replaytool.session import probe_output

    if baseline is None and update_baseline:
        raise ReplaytoolError("--update-baseline needs a file to write", "give --baseline FILE")
    if baseline is not None and not update_baseline:
        known.read_baseline(baseline)
    targets = [path for _, path in wanted] + [str(baseline) if update_baseline else None]
    for target in targets:
        if target is not None:
            probe_output(target)


def gated(report: CheckReport, *, baseline: Path | None, update_baseline: bool) -> CheckReport:
    """The report after what was accepted has been taken as known."""
    from replaytool.check import baseline as known
    from replaytool.session import open_output

    if baseline is None:
        return report
    if update_baseline:
        if not report.complete:
            raise ReplaytoolError("an interrupted check is no baseline", "let it run to its end")
        with open_output(str(baseline)) as stream:
            stream.write(known.render_baseline(report).encode())
    accepted = known.read_baseline(baseline)
    if left := known.count_fixed_findings(report, accepted) if report.shard is None else 0:
        options.say(f"{left} of {len(accepted)} findings of the baseline are gone; --update-baseline forgets them")
    return known.accept_findings(report, accepted)


def outputs(given: Sequence[str]) -> list[Output]:
    """Which formats go where."""
    wanted = [_output(one) for one in given or ("text",)]
    shown = [name for name, path in wanted if path is None]
    if len(shown) > 1 and not _FOR_PEOPLE.issuperset(shown):
        raise ReplaytoolError(
            f"{' and '.join(shown)} cannot share stdout: a program could not read what it wants of it",
            "name a file for all but one: --format FORMAT:PATH",
        )
    for path in (path for _, path in wanted if path is not None):
        _has_folder(path)
    return wanted


def _has_folder(path: str) -> None:
    """A long check must not end in a report that nobody can write."""
    folder = Path(path).parent
    if "://" not in path and not folder.is_dir():
        raise ReplaytoolError(
            f"the report cannot be written: there is no folder {visible(str(folder))}", "make it first"
        )


def _output(text: str) -> Output:
    name, _, path = text.partition(":")
    if name not in RENDERERS:
        raise ReplaytoolError(f"there is no report format {name!r}", f"choose from {', '.join(RENDERERS)}")
    return name, path or None


def publish(report: CheckReport, wanted: Sequence[Output]) -> None:
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


def _tell_github(report: CheckReport, *, is_told: bool) -> None:
    """Annotations are read from stderr as well, so that stdout keeps the report that was asked for."""
    from replaytool.render.report import github

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


def exit_code(report: CheckReport) -> int:
    """What the report says to a script."""
    if not report.complete:
        return INTERRUPTED
    if any(report.is_failing(one) for one in report.runs):
        return FINDINGS
    if not report.runs and report.shard is not None and report.shard.all_runs:
        options.say(f"nothing to check in shard {report.shard.number}/{report.shard.of}")
        return CLEAN
    if not report.runs:
        options.say("nothing to check: no runs were found")
        return NOTHING
    return CLEAN
