"""What every report format shows: causes in one order, their level, and both sides of a mismatch."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from replaytool.check.causes import group_findings
from replaytool.model.check_origin import CheckOrigin
from replaytool.model.history import Payload
from replaytool.model.run_chart import RunChart
from replaytool.model.verdict import Cause, CheckedRun, CheckReport, Command, Drift, ExpectedEvent, Verdict
from replaytool.render.code_frame import make_path_relative, path_in_repository
from replaytool.text import count_noun, escape_controls, shorten_text

Level = Literal["error", "warning", "note"]
_ORDER: Mapping[Level, int] = {"error": 0, "warning": 1, "note": 2}
_WIDEST = 120
_MOST_DRIFTS = 20
_MOST_FURTHER = 20


@dataclass(frozen=True, slots=True)
class ReportedCause:
    """A cause with its level and the runs that have it."""

    cause: Cause
    level: Level
    runs: Sequence[CheckedRun]
    example: CheckedRun
    debug_command: str
    """The command that opens the debugger at the mismatch of the example."""

    @property
    def display_path(self) -> str:
        """The file to annotate: the workflow code if its line is known, else the history."""
        site = self.cause.call_site
        return path_in_repository(site.file if site else self.example.subject.source)

    @property
    def display_line(self) -> int:
        """The line to annotate."""
        return self.cause.call_site.line if self.cause.call_site else 1

    @property
    def headline(self) -> str:
        """Verdict and message in one line without control characters."""
        return escape_controls(f"{self.cause.verdict}: {self.cause.message}")

    @property
    def run_count_text(self) -> str:
        """The number of runs, how many are still open, and how many were known before."""
        still = sum(one.subject.is_open for one in self.runs)
        said = count_noun(self.cause.runs, "run") + (f", {still:,} still open" if still else "")
        return said + (f", {self.cause.known:,} known" if self.cause.known else "")


def list_reported_causes(report: CheckReport) -> list[ReportedCause]:
    """Return the causes: what fails first, what is unverified after it, then the most frequent first."""
    pictures = {cause.id: cause.timeline for cause in report.causes}
    found = [
        ReportedCause(
            _attach_timeline(one.cause, pictures),
            _choose_level(report, one.runs),
            one.runs,
            one.example_run,
            format_debug_command(report.origin, one.example_run),
        )
        for one in group_findings(report.runs)
    ]
    return sorted(found, key=lambda one: (_ORDER[one.level], *rank_cause(report, one.cause)))


def rank_cause(report: CheckReport, cause: Cause) -> tuple[bool, bool, int, str]:
    """Return a sort key: findings that count first, those without a finding in the code last, then by runs."""
    return (is_set_aside(report, cause), cause.verdict == "unverified", -cause.runs, cause.id)


def is_set_aside(report: CheckReport, cause: Cause) -> bool:
    """Return whether no run of the cause counts: each is known, or pinned to another build."""
    return cause.runs == cause.known + (0 if report.include_pinned else cause.pinned)


def _attach_timeline(cause: Cause, pictures: Mapping[str, RunChart | None]) -> Cause:
    return replace(cause, timeline=pictures.get(cause.id))


def _choose_level(report: CheckReport, runs: Sequence[CheckedRun]) -> Level:
    if any(report.is_failing(one) for one in runs):
        return "error"
    if all(one.known or report.is_counted_apart(one) for one in runs) or runs[0].verdict.verdict != "drift":
        return "note"
    return "warning"


def list_side_lines(one: CheckedRun) -> Iterator[tuple[str, str]]:
    """Return the lines of a comparison: ` ` both sides, `-` the history, `+` the code, `!` an error."""
    verdict = one.verdict
    if (found := verdict.divergence) is not None:
        for match in found.before:
            yield " ", format_expected(match.expected)
        yield "-", format_expected(found.expected) if found.expected else f"event {found.event_id}: nothing"
        yield "+", format_command(found.actual) if found.actual else "nothing"
    yield from _list_further_sides(verdict)
    if verdict.failure is not None:
        yield (
            "!",
            escape_controls(f"event {verdict.failure.event_id}: {verdict.failure.type}: {verdict.failure.message}"),
        )
    for drift in verdict.drift[:_MOST_DRIFTS]:
        yield "-", format_drift_side(drift, drift.recorded)
        yield "+", format_drift_side(drift, drift.produced)


def _list_further_sides(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Return the mismatches after the first one, if they were asked for, each with its line."""
    for found in verdict.further[:_MOST_FURTHER]:
        site = found.call_site
        at = f" at {path_in_repository(site.file)}:{site.line}" if site else ""
        yield "-", format_expected(found.expected) if found.expected else f"event {found.event_id}: nothing"
        yield "+", format_command(found.actual) + escape_controls(at) if found.actual else "nothing"
    if len(verdict.further) > _MOST_FURTHER:
        yield " ", f"… and {len(verdict.further) - _MOST_FURTHER} more; --format json lists all"


def format_expected(expected: ExpectedEvent) -> str:
    """Format a recorded event."""
    said = f"event {expected.event_id}: {expected.event_type} {expected.name}".rstrip()
    return escape_controls(f"{said} {format_fields(expected.fields)}".rstrip())


def format_command(command: Command) -> str:
    """Format a command of the code."""
    said = f"{command.kind.replace('_', ' ')} {command.name}".rstrip()
    return escape_controls(f"{said} {format_fields(command.fields)}".rstrip())


def format_drift_side(drift: Drift, value: object) -> str:
    """Format one side of a difference inside a command."""
    return escape_controls(f"event {drift.event_id}: {drift.path}: {shorten_value(value)}")


def format_fields(fields: Mapping[str, object]) -> str:
    """Format a command's fields, shortened to one line."""
    return shorten_text(" ".join(f"{key}={shorten_value(value)}" for key, value in fields.items() if value), _WIDEST)


def shorten_value(value: object) -> str:
    """Format a recorded or produced value, shortened."""
    if isinstance(value, Payload):
        return f"{value.encoding_name or 'unknown'} ({len(value.data)} bytes)"
    if isinstance(value, Mapping | list | tuple):
        return shorten_text(json.dumps(value, default=str, ensure_ascii=False), 60)
    return shorten_text(str(value), 60)


def list_uncompared_parts(report: CheckReport) -> list[str]:
    """Return what histories do not hold, each once with the number of runs that it concerns."""
    counted = Counter(part for one in report.runs for part in one.verdict.cannot_see)
    return [f"{escape_controls(part)} ({count_noun(count, 'run')})" for part, count in sorted(counted.items())]


def format_run_name(one: CheckedRun) -> str:
    """Return the workflow id, or the run key if there is none."""
    return escape_controls(one.subject.workflow_id or one.subject.run_key)


def format_debug_command(origin: CheckOrigin, one: CheckedRun) -> str:
    """Return the command that opens the debugger at the mismatch."""
    words = ["replaytool", "debug", one.subject.run_key]
    words += [make_path_relative(one.subject.source)] if origin.from_files else []
    words += ["--at", str(one.verdict.event_id)] if one.verdict.event_id is not None else []
    return escape_controls(shlex.join([*words, *origin.options]))


def format_reset_command(origin: CheckOrigin) -> str:
    """Return the command that plans a reset of each open run to the last task up to which the code replays."""
    more = shlex.join([*origin.options, "-o", "plan.json"])
    return escape_controls(f"replaytool reset plan --latest-clean --where \"status = 'Running'\" {more}")


def can_be_reset(one: ReportedCause) -> bool:
    """Return whether the cause fails open runs of code and history that do not fit: a reset would let them go on."""
    is_open = any(run.subject.is_open and not run.known for run in one.runs)
    return one.level == "error" and is_open and one.cause.verdict in ("diverged", "failed")
