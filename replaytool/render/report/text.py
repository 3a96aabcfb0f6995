"""The report for people: causes first, each with the code, both sides, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replaytool.model.blast_radius import ImpactGroup
from replaytool.model.history import Payload
from replaytool.model.verdict import (
    UNSTABLE,
    WORDS,
    BaseCode,
    Cause,
    CheckedRun,
    CheckReport,
    Command,
    Divergence,
    Drift,
    ExpectedEvent,
    Hazard,
)
from replaytool.render.code_frame import excerpt, place
from replaytool.render.report.summary import look
from replaytool.text import counted, shortened, visible

_MARKS = {"ok": "✔", "drift": "~", "diverged": "✗", "failed": "✗", "unverified": "?", "crashed": "✗"}
_MOST_DRIFTS = 8
_MOST_FURTHER = 20
_SHOWN_FIELDS = 4
_MOST_REPAIRED = 20


def render(report: CheckReport) -> str:
    """The whole report."""
    by_key = {one.subject.run_key: one for one in report.runs}
    lines: list[str] = []
    for cause in report.causes:
        lines += [*_cause(cause, by_key.get(cause.example)), ""]
    lines += _drifts(report)
    lines += _notes(report)
    lines += _repaired(report)
    lines += _radius(report)
    lines.append(_summary(report))
    return "\n".join(lines) + "\n"


def _cause(cause: Cause, example: CheckedRun | None) -> Iterator[str]:
    runs = counted(cause.runs, "run")
    if cause.known == cause.runs:
        yield visible(f"· known: {cause.verdict}: {cause.message} ({runs})")
        return
    runs += f", {cause.known} known" if cause.known else ""
    yield visible(f"{_MARKS[cause.verdict]} {cause.verdict}: {cause.message} ({runs})")
    if cause.call_site is not None:
        yield f"  --> {place(cause.call_site)}"
        yield from ("  " + line for line in excerpt(cause.call_site))
        yield from (f"  awaited at {place(site)}" for site in cause.call_site.chain)
    if example is not None:
        yield from ("  " + line for line in _finding(example))


def _finding(checked: CheckedRun) -> Iterator[str]:
    verdict = checked.verdict
    if verdict.divergence is not None:
        yield from _divergence(verdict.divergence)
        yield from _further(verdict.further)
    if verdict.failure is not None:
        yield visible(f"event {verdict.failure.event_id}: {verdict.failure.type}: {verdict.failure.message}")
    for drift in verdict.drift[:_MOST_DRIFTS]:
        yield _drift(drift)
    if len(verdict.drift) > _MOST_DRIFTS:
        yield f"… and {len(verdict.drift) - _MOST_DRIFTS} more differences"
    if verdict.reason.startswith(UNSTABLE):
        yield visible(verdict.reason)
    subject = checked.subject
    yield visible(f"for example {subject.workflow_type} {subject.workflow_id or '-'} ({subject.run_key})")
    if verdict.event_id is not None:
        yield f"look: {look(checked)}"


def _divergence(found: Divergence) -> Iterator[str]:
    for match in found.before:
        yield f"  = {_expected(match.expected)}"
    yield f"  - history: {_expected(found.expected) if found.expected else f'event {found.event_id}: nothing'}"
    yield f"  + code:    {_command(found.actual) if found.actual else _nothing(found)}"
    if found.differing:
        yield visible(f"  differs in {', '.join(found.differing)}")
    if found.advice:
        yield visible(f"help: {found.advice}")


def _further(found: Sequence[Divergence]) -> Iterator[str]:
    if found:
        yield f"behind it, {counted(len(found), 'more place')} in which they differ:"
    for one in found[:_MOST_FURTHER]:
        yield f"  - history: {_expected(one.expected) if one.expected else f'event {one.event_id}: nothing'}"
        at = f" ({place(one.call_site)})" if one.call_site else ""
        yield f"  + code:    {_command(one.actual) if one.actual else 'nothing'}{at}"
    if len(found) > _MOST_FURTHER:
        yield f"  … and {len(found) - _MOST_FURTHER} more; --format json lists all"


def _nothing(found: Divergence) -> str:
    return f"nothing; it stands at {place(found.call_site)}" if found.call_site else "nothing"


def _expected(expected: ExpectedEvent) -> str:
    return visible(f"event {expected.event_id}: {expected.event_type} {expected.name}".rstrip())


def _command(command: Command) -> str:
    shown = [f"{key}={_value(value)}" for key, value in list(command.fields.items())[:_SHOWN_FIELDS] if value]
    return visible(" ".join(filter(None, (command.kind.replace("_", " "), command.name, *shown))))


def _drift(drift: Drift) -> str:
    where = f" ({place(drift.call_site)})" if drift.call_site else ""
    return visible(f"event {drift.event_id}: {drift.path}: {_value(drift.recorded)} → {_value(drift.produced)}") + where


def _value(value: Any) -> str:
    if isinstance(value, Payload):
        return f"{value.encoding_name or 'unknown'} ({len(value.data)} bytes)"
    if isinstance(value, Mapping | list):
        return shortened(json.dumps(value, default=str), 60)
    return shortened(str(value), 60)


def _drifts(report: CheckReport) -> Iterator[str]:
    """The same difference in many runs is told once."""
    found: dict[str, int] = {}
    for one in report.runs:
        if one.verdict.verdict == "drift":
            start = "· known: drift" if one.known else "~ drift"
            for drift in one.verdict.drift:
                line = f"{start}: {visible(one.subject.workflow_type)} {_drift(drift)}"
                found[line] = found.get(line, 0) + 1
    for line, count in sorted(found.items(), key=lambda item: -item[1])[:_MOST_DRIFTS]:
        yield line + (f" ({count} runs)" if count > 1 else "")
    if len(found) > _MOST_DRIFTS:
        yield f"~ … and {len(found) - _MOST_DRIFTS} more differences; --format json lists all"


def _notes(report: CheckReport) -> Iterator[str]:
    """What is worth a line although the verdict is good: hazards, stuck runs, what comes next."""
    hazards: dict[tuple[str, str], int] = {}
    for one in report.runs:
        for hazard in one.verdict.hazards:
            key = (_hazard(hazard), place(hazard.call_site) if hazard.call_site else "")
            hazards[key] = hazards.get(key, 0) + 1
    for (what, where), count in sorted(hazards.items()):
        yield f"! hazard: {what} at {where or 'an unknown place'} ({counted(count, 'time')})"
    for one in report.runs:
        if one.verdict.stuck:
            following = ", ".join(_command(command) for command in one.verdict.next[:3])
            name = visible(one.subject.workflow_id or one.subject.run_key)
            yield f"stuck: {name} {one.verdict.stuck}" + (f": {following}" if following else "")


def _repaired(report: CheckReport) -> Iterator[str]:
    if report.base is not None and report.base.trouble:
        yield visible(
            f"! the code at {report.base.ref} could not be asked, all findings are new: {report.base.trouble}"
        )
    if report.base is not None and report.base.left_out:
        yield _left_out(report.base)
    repaired = report.repaired_runs()
    for one in repaired[:_MOST_REPAIRED]:
        yield visible(f"✔ repaired: {one.subject.workflow_type} {one.subject.workflow_id or one.subject.run_key}")
    if len(repaired) > _MOST_REPAIRED:
        yield f"✔ … and {len(repaired) - _MOST_REPAIRED} more"


def _left_out(base: BaseCode) -> str:
    runs = "1 run was" if base.left_out == 1 else f"{base.left_out:,} runs were"
    return visible(
        f"{runs} not replayed again: no line that they come by, and nothing that their code imports, has changed since "
        f"{base.ref} ({base.commit[:12]})"
    )


def _radius(report: CheckReport) -> Iterator[str]:
    """Whom the change hits, where it hits anybody or where something was left out of that."""
    radius = report.count_blast_radius()
    if radius.broken or radius.pinned or any(one.known for one in report.runs):
        yield radius.sentence()
    if radius.runs > 1:
        yield from _shares("type", radius.by_type)
        yield from _shares("waits for", radius.by_wait)


def _shares(title: str, shares: Sequence[ImpactGroup]) -> Iterator[str]:
    for share in shares:
        if share.broken:
            still = f", {share.broken_open:,} still open" if share.broken_open else ""
            yield visible(f"  {title}: {share.name}: {share.broken:,} of {share.runs:,}{still}")


def _hazard(hazard: Hazard) -> str:
    refused = ", refused" if hazard.refused else ""
    return visible(f"{hazard.what} {hazard.detail}".rstrip()) + refused


def _summary(report: CheckReport) -> str:
    summary = report.count_verdicts()
    counts = ", ".join(f"{summary[word]} {word}" for word in WORDS if summary[word])
    cut = "" if report.complete else "; interrupted: this is what was known"
    size = f"{counted(int(summary['runs']), 'run')}, {counted(int(summary['events']), 'event')}"
    return f"{size}: {counts or 'nothing'} in {report.seconds:.1f} s{cut}"
