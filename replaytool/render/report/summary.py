"""What every format tells about a report, in one order and with one idea of what is serious."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from replaytool.check.causes import group_findings
from replaytool.model.history import Payload
from replaytool.model.verdict import Cause, CheckedRun, CheckReport, Command, Drift, ExpectedEvent, Verdict
from replaytool.render.code_frame import in_repository
from replaytool.text import counted, shortened, visible

Level = Literal["error", "warning", "note"]
_ORDER: Mapping[Level, int] = {"error": 0, "warning": 1, "note": 2}
_WIDEST = 120
_MOST_DRIFTS = 20
_MOST_FURTHER = 20


@dataclass(frozen=True, slots=True)
class Told:
    """A cause, how serious it is, and the runs that have it."""

    cause: Cause
    level: Level
    runs: Sequence[CheckedRun]
    example: CheckedRun

    @property
    def path(self) -> str:
        """The file to show it at: the code where that is known, else the history."""
        site = self.cause.call_site
        return in_repository(site.file if site else self.example.subject.source)

    @property
    def line(self) -> int:
        """The line to show it at."""
        return self.cause.call_site.line if self.cause.call_site else 1

    @property
    def title(self) -> str:
        """What went wrong, in one line without control characters."""
        return visible(f"{self.cause.verdict}: {self.cause.message}")

    @property
    def count(self) -> str:
        """In how many runs, and how many of those go on."""
        still = sum(one.subject.is_open for one in self.runs)
        said = counted(self.cause.runs, "run") + (f", {still:,} still open" if still else "")
        return said + (f", {self.cause.known:,} known before" if self.cause.known else "")


def told(report: CheckReport) -> list[Told]:
    """What fails first, then the most frequent first."""
    pictures = {cause.id: cause.timeline for cause in report.causes}
    found = [
        Told(_with_picture(one.cause, pictures), _level(report, one.runs), one.runs, one.example_run)
        for one in group_findings(report.runs)
    ]
    return sorted(found, key=lambda one: (_ORDER[one.level], -one.cause.runs, one.cause.id))


def _with_picture(cause: Cause, pictures: Mapping[str, Any]) -> Cause:
    return replace(cause, timeline=pictures.get(cause.id))


def _level(report: CheckReport, runs: Sequence[CheckedRun]) -> Level:
    if any(report.is_failing(one) for one in runs):
        return "error"
    if all(one.known or report.is_counted_apart(one) for one in runs) or runs[0].verdict.verdict != "drift":
        return "note"
    return "warning"


def sides(one: CheckedRun) -> Iterator[tuple[str, str]]:
    """The lines of a comparison as a diff writes them: what both have, `-` the history, `+` the code, `!` an error."""
    verdict = one.verdict
    if (found := verdict.divergence) is not None:
        for match in found.before:
            yield " ", expected_line(match.expected)
        yield "-", expected_line(found.expected) if found.expected else f"event {found.event_id}: nothing"
        yield "+", command_line(found.actual) if found.actual else "nothing"
    yield from _further(verdict)
    if verdict.failure is not None:
        yield "!", visible(f"event {verdict.failure.event_id}: {verdict.failure.type}: {verdict.failure.message}")
    for drift in verdict.drift[:_MOST_DRIFTS]:
        yield "-", drift_line(drift, drift.recorded)
        yield "+", drift_line(drift, drift.produced)


def _further(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """What parts behind the divergence, where somebody asked for it; with the line, as each has its own."""
    for found in verdict.further[:_MOST_FURTHER]:
        site = found.call_site
        at = f" at {in_repository(site.file)}:{site.line}" if site else ""
        yield "-", expected_line(found.expected) if found.expected else f"event {found.event_id}: nothing"
        yield "+", command_line(found.actual) + visible(at) if found.actual else "nothing"
    if len(verdict.further) > _MOST_FURTHER:
        yield " ", f"… and {len(verdict.further) - _MOST_FURTHER} more; --format json lists all"


def expected_line(expected: ExpectedEvent) -> str:
    """What the record holds."""
    said = f"event {expected.event_id}: {expected.event_type} {expected.name}".rstrip()
    return visible(f"{said} {fields_line(expected.fields)}".rstrip())


def command_line(command: Command) -> str:
    """What the code asked for."""
    said = f"{command.kind.replace('_', ' ')} {command.name}".rstrip()
    return visible(f"{said} {fields_line(command.fields)}".rstrip())


def drift_line(drift: Drift, value: Any) -> str:
    """One side of a difference inside a command."""
    return visible(f"event {drift.event_id}: {drift.path}: {shown(value)}")


def fields_line(fields: Mapping[str, Any]) -> str:
    """What a command says, as far as one line takes it."""
    return shortened(" ".join(f"{key}={shown(value)}" for key, value in fields.items() if value), _WIDEST)


def shown(value: Any) -> str:
    """A recorded or produced value, short."""
    if isinstance(value, Payload):
        return f"{value.encoding_name or 'unknown'} ({len(value.data)} bytes)"
    if isinstance(value, Mapping | list | tuple):
        return shortened(json.dumps(value, default=str, ensure_ascii=False), 60)
    return shortened(str(value), 60)


def name(one: CheckedRun) -> str:
    """The run as people call it."""
    return visible(one.subject.workflow_id or one.subject.run_key)


def look(one: CheckedRun) -> str:
    """The command that shows the place in the debugger."""
    event_id = one.verdict.event_id
    return f"replaytool debug {visible(one.subject.run_key)}" + (f" --at {event_id}" if event_id is not None else "")
