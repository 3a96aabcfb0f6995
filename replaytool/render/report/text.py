"""The report for people: causes first, each with its code, both sides, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from replaytool.model.blast_radius import ImpactGroup
from replaytool.model.verdict import (
    UNSTABLE,
    WORDS,
    BaseCode,
    Cause,
    CheckedRun,
    CheckReport,
    Command,
    Divergence,
    ExpectedEvent,
    Hazard,
)
from replaytool.render.code_frame import format_call_site, read_source_excerpt
from replaytool.render.report.drift_lines import describe_drift, list_drift_lines
from replaytool.render.report.guilty_edits import (
    format_headline,
    format_proof,
    list_diff_lines,
    list_fix_lines,
    list_guilty_edits,
    list_search_notes,
)
from replaytool.render.report.summary import format_debug_command, is_set_aside, rank_cause, shorten_value
from replaytool.text import count_noun, escape_controls

_MARKS = {"ok": "✔", "drift": "~", "diverged": "✗", "failed": "✗", "unverified": "?", "crashed": "✗"}
_MOST_DRIFTS = 8
_MOST_FURTHER = 20
_SHOWN_FIELDS = 4
_MOST_REPAIRED = 20
_MOST_FAILED = 8
_SHOWN_FILES = 3


def render(report: CheckReport) -> str:
    """Return the whole report."""
    by_key = {one.subject.run_key: one for one in report.runs}
    lines = list(_guilty_lines(report))
    for cause in sorted(report.causes, key=lambda one: rank_cause(report, one)):
        if not is_set_aside(report, cause):
            lines += [*_cause_lines(report, cause, by_key.get(cause.example)), ""]
    lines += list_drift_lines(report)
    lines += _set_aside_lines(report)
    lines += _note_lines(report)
    lines += _base_lines(report)
    lines += _code_lines(report)
    lines += _blast_radius_lines(report)
    lines.append(_summary_line(report))
    if report.exit is not None:
        lines.append(f"exit code {report.exit.code}: {escape_controls(report.exit.reason)}")
    return "\n".join(lines) + "\n"


def _guilty_lines(report: CheckReport) -> Iterator[str]:
    """Show the edits to blame above the places where the runs part from their records."""
    for found in list_guilty_edits(report):
        yield f"✗ guilty: {format_headline(found)}"
        yield from (f"  {line}" for line in list_diff_lines(found))
        yield f"  {format_proof(found)}"
        yield ""
    if report.guilty is not None:
        yield from (f"! {line}" for line in list_search_notes(report.guilty))
        if lines := list(list_fix_lines(report.guilty)):
            yield from (*lines, "")


def _cause_lines(report: CheckReport, cause: Cause, example: CheckedRun | None) -> Iterator[str]:
    runs = count_noun(cause.runs, "run")
    runs += f", {cause.known} known" if cause.known else ""
    runs += f", {cause.pinned} pinned to another build" if cause.pinned and not report.include_pinned else ""
    yield escape_controls(f"{_MARKS[cause.verdict]} {cause.verdict}: {cause.message} ({runs})")
    if cause.call_site is not None:
        yield f"  --> {format_call_site(cause.call_site)}"
        yield from ("  " + line for line in read_source_excerpt(cause.call_site))
        yield from (f"  awaited at {format_call_site(site)}" for site in cause.call_site.chain)
    if example is not None:
        yield from ("  " + line for line in _example_lines(report, example))


def _set_aside_lines(report: CheckReport) -> Iterator[str]:
    """List findings that do not count in one line each, below those that do."""
    for cause in sorted(report.causes, key=lambda one: rank_cause(report, one)):
        if is_set_aside(report, cause):
            word = "known" if cause.known == cause.runs else "known or pinned" if cause.known else "pinned"
            runs = count_noun(cause.runs, "run") + (" of another build" if word == "pinned" else "")
            yield escape_controls(f"· {word}: {cause.verdict}: {cause.message} ({runs})")


def _example_lines(report: CheckReport, checked: CheckedRun) -> Iterator[str]:
    verdict = checked.verdict
    if verdict.divergence is not None:
        yield from _divergence_lines(verdict.divergence)
        yield from _further_lines(verdict.further)
    if verdict.failure is not None:
        yield escape_controls(f"event {verdict.failure.event_id}: {verdict.failure.type}: {verdict.failure.message}")
        if verdict.failure.advice:
            yield escape_controls(f"help: {verdict.failure.advice}")
    for drift in verdict.drift[:_MOST_DRIFTS]:
        yield describe_drift(drift)
    if len(verdict.drift) > _MOST_DRIFTS:
        yield f"… and {len(verdict.drift) - _MOST_DRIFTS} more differences"
    if verdict.reason.startswith(UNSTABLE):
        yield escape_controls(verdict.reason)
    subject = checked.subject
    yield escape_controls(f"for example {subject.workflow_type} {subject.workflow_id or '-'} ({subject.run_key})")
    if verdict.event_id is not None:
        yield f"debug: {format_debug_command(report.origin, checked)}"


def _divergence_lines(found: Divergence) -> Iterator[str]:
    for match in found.before:
        yield f"  = {_describe_expected(match.expected)}"
    yield f"  - history: {_describe_expected(found.expected) if found.expected else f'event {found.event_id}: nothing'}"
    yield f"  + code:    {_describe_command(found.actual) if found.actual else _describe_missing_command(found)}"
    if found.differing:
        yield escape_controls(f"  differs in {', '.join(found.differing)}")
    if found.advice:
        yield escape_controls(f"help: {found.advice}")


def _further_lines(found: Sequence[Divergence]) -> Iterator[str]:
    if found:
        yield f"{len(found)} more mismatch{'es' if len(found) > 1 else ''} after this one:"
    for one in found[:_MOST_FURTHER]:
        yield f"  - history: {_describe_expected(one.expected) if one.expected else f'event {one.event_id}: nothing'}"
        at = f" ({format_call_site(one.call_site)})" if one.call_site else ""
        yield f"  + code:    {_describe_command(one.actual) if one.actual else 'nothing'}{at}"
    if len(found) > _MOST_FURTHER:
        yield f"  … and {len(found) - _MOST_FURTHER} more; --format json lists all"


def _describe_missing_command(found: Divergence) -> str:
    return f"nothing; it waits at {format_call_site(found.call_site)}" if found.call_site else "nothing"


def _describe_expected(expected: ExpectedEvent) -> str:
    return escape_controls(f"event {expected.event_id}: {expected.event_type} {expected.name}".rstrip())


def _describe_command(command: Command) -> str:
    shown = [f"{key}={shorten_value(value)}" for key, value in list(command.fields.items())[:_SHOWN_FIELDS] if value]
    return escape_controls(" ".join(filter(None, (command.kind.replace("_", " "), command.name, *shown))))


def _note_lines(report: CheckReport) -> Iterator[str]:
    """List hazards, what cannot be compared, and stuck runs with their next commands, whatever the verdicts are."""
    hazards: dict[tuple[str, str], int] = {}
    for one in report.runs:
        for hazard in one.verdict.hazards:
            key = (_describe_hazard(hazard), format_call_site(hazard.call_site) if hazard.call_site else "")
            hazards[key] = hazards.get(key, 0) + 1
    for (what, where), count in sorted(hazards.items()):
        yield f"! hazard: {what} at {where or 'an unknown line'} ({count_noun(count, 'time')})"
    unseen = Counter(one.verdict.cannot_see for one in report.runs if one.verdict.cannot_see)
    for parts, count in sorted(unseen.items()):
        yield escape_controls(f"! not compared, since the history does not hold it: {', '.join(parts)} ") + (
            f"({count_noun(count, 'run')})"
        )
    for one in report.runs:
        if one.verdict.stuck:
            following = ", ".join(_describe_command(command) for command in one.verdict.next[:3])
            name = escape_controls(one.subject.workflow_id or one.subject.run_key)
            yield f"stuck: {name} {one.verdict.stuck}" + (f": {following}" if following else "")


def _base_lines(report: CheckReport) -> Iterator[str]:
    if report.base is not None and report.base.trouble:
        yield escape_controls(
            f"! the code at {report.base.ref} could not be replayed; all findings count as new: {report.base.trouble}"
        )
    if report.base is not None and report.base.left_out:
        yield _describe_left_out_runs(report.base)
    repaired = report.repaired_runs()
    for one in repaired[:_MOST_REPAIRED]:
        yield escape_controls(
            f"✔ repaired: {one.subject.workflow_type} {one.subject.workflow_id or one.subject.run_key}"
        )
    if len(repaired) > _MOST_REPAIRED:
        yield f"✔ … and {len(repaired) - _MOST_REPAIRED} more"


def _code_lines(report: CheckReport) -> Iterator[str]:
    """Name the files that were loaded, so that nobody takes the verdicts for those of other files."""
    if report.code.loaded:
        yield f"code: {_list_files(report.code.loaded)}"
    failed = report.code.not_imported
    yield from (escape_controls(f"not imported: {one}") for one in failed[:_MOST_FAILED])
    if len(failed) > _MOST_FAILED:
        yield f"not imported: {len(failed) - _MOST_FAILED} more files; `--format json` lists them"
    if report.base is not None and report.base.files:
        ref = escape_controls(report.base.ref)
        yield f"base: {_list_files(report.base.files)} at {ref} ({report.base.commit[:12]})"


def _list_files(files: Sequence[str]) -> str:
    more = ", …" if len(files) > _SHOWN_FILES else ""
    return escape_controls(f"{', '.join(files[:_SHOWN_FILES])}{more} ({count_noun(len(files), 'file')})")


def _describe_left_out_runs(base: BaseCode) -> str:
    runs = "1 run was" if base.left_out == 1 else f"{base.left_out:,} runs were"
    return escape_controls(
        f"{runs} not replayed again: no line that they reach, and nothing that their code imports, has changed since "
        f"{base.ref} ({base.commit[:12]})"
    )


def _blast_radius_lines(report: CheckReport) -> Iterator[str]:
    """Describe which runs fail, if any do or if some were not counted."""
    radius = report.count_blast_radius()
    if radius.broken or radius.pinned or any(one.known for one in report.runs):
        yield report.blast_radius_sentence()
    if radius.runs > 1:
        yield from _share_lines("workflow type", radius.by_type)
        yield from _share_lines("waiting for", radius.by_wait)


def _share_lines(title: str, shares: Sequence[ImpactGroup]) -> Iterator[str]:
    for share in shares:
        if share.broken:
            still = f", {share.broken_open:,} still open" if share.broken_open else ""
            yield escape_controls(f"  {title} {share.name}: {share.broken:,} of {share.runs:,}{still}")


def _describe_hazard(hazard: Hazard) -> str:
    refused = ", refused" if hazard.refused else ""
    return escape_controls(f"{hazard.what} {hazard.detail}".rstrip()) + refused


def _summary_line(report: CheckReport) -> str:
    summary = report.count_verdicts()
    counts = ", ".join(f"{summary[word]} {word}" for word in WORDS if summary[word])
    cut = "" if report.complete else "; interrupted: this report is incomplete"
    size = f"{count_noun(int(summary['runs']), 'run')}, {count_noun(int(summary['events']), 'event')}"
    return f"{size}: {counts or 'nothing'} in {report.seconds:.1f} s{cut}"
