"""Where reports go and which exit code they cause, for every command that writes one."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from replaytool.cli import INTERRUPTED
from replaytool.cli.shared import options
from replaytool.errors import CLEAN, FINDINGS, NOTHING, ErrorCode, ReplaytoolError
from replaytool.model.check_origin import ExitStatus
from replaytool.render import RENDERERS
from replaytool.text import count_noun, escape_controls, suggest_word

if TYPE_CHECKING:
    from replaytool.model.code_fix import CodeFix
    from replaytool.model.patches import PatchFix
    from replaytool.model.verdict import CheckedRun, CheckReport

Function = TypeVar("Function", bound=Callable[..., object])
Output = tuple[str, str | None]
_FOR_PEOPLE = frozenset({"text", "github", "markdown"})
"""Formats that may follow other text on stdout. A machine format must be alone there."""


class BaselineGiven(TypedDict):
    """What `baseline_options` gives to a command."""

    baseline: Path | None
    update_baseline: bool


def report_format_options(function: Function) -> Function:
    """Add the options --format, --json and --brief."""
    function = click.option("--brief", is_flag=True, help="A short JSON: the same as --format brief.")(function)
    function = click.option("--json", "as_json", is_flag=True, help="The same as --format json.")(function)
    return click.option(
        "--format",
        "formats",
        multiple=True,
        metavar="FORMAT[:PATH]",
        help=f"{', '.join(RENDERERS)}; to stdout, or to the file PATH. Repeatable.",
    )(function)


def baseline_options(function: Function) -> Function:
    """Add the options for a baseline file."""
    for option in (
        click.option("--update-baseline", is_flag=True, help="Write the current findings to the baseline, and pass."),
        click.option(
            "--baseline",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Do not fail on the findings that this file lists.",
        ),
    ):
        function = option(function)
    return function


def probe_report_outputs(wanted: Sequence[Output], *, baseline: Path | None, update_baseline: bool) -> None:
    """Fail before the work starts if a report or the baseline could not be written or read after it."""
    from replaytool.check import baseline as known
    from replaytool.session import probe_output

    if baseline is None and update_baseline:
        raise ReplaytoolError(
            "--update-baseline needs a file to write", "give --baseline FILE", code=ErrorCode.USAGE_COMBINATION
        )
    if baseline is not None and not update_baseline:
        known.read_baseline(baseline)
    targets = [path for _, path in wanted] + [str(baseline) if update_baseline else None]
    for target in targets:
        if target is not None:
            probe_output(target)


def apply_baseline(report: CheckReport, *, baseline: Path | None, update_baseline: bool) -> CheckReport:
    """Return the report with the baseline's findings marked as known."""
    from replaytool.check import baseline as known
    from replaytool.session import open_output

    if baseline is None:
        return report
    if update_baseline:
        if not report.complete:
            raise ReplaytoolError(
                "an interrupted check cannot become a baseline",
                "run the check to its end",
                code=ErrorCode.CHECK_BASELINE_INTERRUPTED,
            )
        with open_output(str(baseline)) as stream:
            stream.write(known.render_baseline(report).encode())
    accepted = known.read_baseline(baseline)
    if left := known.count_fixed_findings(report, accepted) if report.shard is None else 0:
        options.print_note(
            f"{left} of {len(accepted)} findings of the baseline no longer occur; --update-baseline removes them"
        )
    return known.accept_findings(report, accepted)


def parse_outputs(given: Sequence[str], *, as_json: bool = False, brief: bool = False) -> list[Output]:
    """Parse every --format into a format and a path; the path is None for stdout. --json or --brief is one more."""
    named = dict.fromkeys((*given, "brief" if brief else "json")) if as_json or brief else given
    wanted = [_parse_output(one) for one in named or ("text",)]
    shown = [name for name, path in wanted if path is None]
    if len(shown) > 1 and not _FOR_PEOPLE.issuperset(shown):
        raise ReplaytoolError(
            f"{' and '.join(shown)} cannot both go to stdout",
            "write all but one to a file: --format FORMAT:PATH",
            code=ErrorCode.OUTPUT_SHARED_STDOUT,
        )
    for path in (path for _, path in wanted if path is not None):
        _require_folder(path)
    return wanted


def _require_folder(path: str) -> None:
    """Fail early: a long check must not end in a report that cannot be written."""
    folder = Path(path).parent
    if "://" not in path and not folder.is_dir():
        raise ReplaytoolError(
            f"cannot write the report: there is no folder {escape_controls(str(folder))}",
            "create the folder first",
            code=ErrorCode.OUTPUT_UNWRITABLE,
        )


def _parse_output(text: str) -> Output:
    name, _, path = text.partition(":")
    if name not in RENDERERS:
        raise ReplaytoolError(
            f"there is no report format {name!r}{suggest_word(name, RENDERERS)}",
            f"choose from {', '.join(RENDERERS)}",
            code=ErrorCode.USAGE_VALUE,
        )
    return name, path or None


def write_fix(fix: CodeFix | PatchFix, path: str) -> None:
    """Write the diff, if there is a proven one; nothing else is ever written."""
    from replaytool.session import open_output

    if fix.diff:
        with open_output(path) as stream:
            stream.write(fix.diff.encode("utf-8", "surrogateescape"))


def publish_report(report: CheckReport, wanted: Sequence[Output]) -> None:
    """Write every report. Under GitHub Actions, also write annotations and the step summary."""
    from replaytool.render import render
    from replaytool.session import open_output

    if not report.runs and report.exit is not None and ("text", None) not in wanted:
        options.print_note(report.exit.reason)

    for name, path in wanted:
        text = render(report, name)
        if path is None:
            click.echo(text, nl=False)
        else:
            with open_output(path) as stream:
                stream.write(text.encode())
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _write_for_github(report, is_told=any(name == "github" for name, _ in wanted))


def _write_for_github(report: CheckReport, *, is_told: bool) -> None:
    """Write annotations to stderr, where GitHub reads them too: stdout keeps the requested report."""
    from replaytool.render.report import github

    if not is_told:
        sys.stdout.flush()
        print(github.render(report), end="", file=sys.stderr)
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        path = Path(place)
        try:
            already = path.stat().st_size if path.exists() else 0
            with path.open("a", encoding="utf-8") as stream:
                stream.write(github.render_step_summary(report, already))
        except OSError as error:
            options.print_note(f"cannot write the step summary: {error}")


def choose_exit_status(report: CheckReport, bad_files: int = 0) -> ExitStatus:
    """Return the exit code of a report, and its reason."""
    if not report.complete:
        return ExitStatus(INTERRUPTED, "interrupted")
    if failing := [one for one in report.runs if report.is_failing(one)]:
        return ExitStatus(FINDINGS, _describe_failing(failing))
    if bad_files:
        return ExitStatus(FINDINGS, f"{count_noun(bad_files, 'file')} could not be read")
    if not report.runs and report.shard is not None and report.shard.all_runs:
        return ExitStatus(CLEAN, f"nothing to check in shard {report.shard.number}/{report.shard.of}")
    if not report.runs:
        return ExitStatus(NOTHING, "nothing to check: no runs were found")
    return ExitStatus(CLEAN, _describe_passing(report))


def _describe_failing(failing: Sequence[CheckedRun]) -> str:
    from replaytool.model.verdict import WORDS

    counts = Counter(one.verdict.verdict for one in failing)
    shown = ", ".join(f"{counts[word]:,} {word}" for word in WORDS if counts[word])
    hint = "; --allow-unverified lets these pass" if set(counts) == {"unverified"} else ""
    return f"{count_noun(len(failing), 'run')} {'fails' if len(failing) == 1 else 'fail'} the check ({shown}){hint}"


def _describe_passing(report: CheckReport) -> str:
    """Say what does not count, so that nobody takes it for checked."""

    def name_reason(one: CheckedRun) -> str:
        apart = "pinned to another build" if report.is_counted_apart(one) else one.verdict.verdict
        return "known" if one.known else apart

    counts = Counter(name_reason(one) for one in report.runs if one.verdict.verdict != "ok")
    apart = ", ".join(f"{count:,} {word}" for word, count in counts.items())
    return f"no run fails the check{f'; not counted: {apart}' if apart else ''}"
