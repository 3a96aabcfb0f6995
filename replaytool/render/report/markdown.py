"""Markdown for a pull request comment or a step summary: the result first, details folded.

Text from histories and code is always in a code span or a fence, so that it mentions nobody and is no HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from replaytool.model.blast_radius import ImpactGroup
from replaytool.model.verdict import WORDS, CheckedRun, CheckReport
from replaytool.render.code_frame import read_source_excerpt
from replaytool.render.report.guilty_edits import (
    format_headline,
    format_proof,
    list_diff_lines,
    list_guilty_edits,
    list_search_notes,
)
from replaytool.render.report.summary import (
    ReportedCause,
    can_be_reset,
    format_reset_command,
    format_run_name,
    list_reported_causes,
    list_side_lines,
    list_uncompared_parts,
)
from replaytool.text import count_noun, escape_controls, shorten_text

_COMMENT_CHARACTERS = 65_000
"""GitHub accepts 65,536 characters in a comment."""
_MARKS = {"error": "❌", "warning": "⚠️", "note": "ℹ️"}  # noqa: RUF001 - the sign is meant
_MOST_SHARES = 12
_PHONE = 56
"""Letters of a code block that a phone shows without scrolling."""
_MOST_SETS = 10
_MOST_REPAIRED = 20
_SPECIAL = re.compile(r"[^\w ,()/=-]|_")


def render(report: CheckReport, limit: int = _COMMENT_CHARACTERS) -> str:
    """Return as many causes as fit into `limit` bytes, the most serious first."""
    head, foot = "\n".join(_format_head(report)), "\n".join(_format_foot(report))
    room = limit - len(head.encode()) - len(foot.encode()) - 200
    parts, left_out = [head, *_format_guilty(report)], 0
    room -= sum(len(part.encode()) + 1 for part in parts[1:])
    for one in list_reported_causes(report):
        part = "\n".join(_format_cause(report, one))
        room -= len(part.encode()) + 1
        if left_out or room < 0:
            left_out += 1
        else:
            parts.append(part)
    if left_out:
        parts.append(f"… and {count_noun(left_out, 'more cause')}; the JSON and HTML reports list all.\n")
    return "\n".join([*parts, foot])


def code_span(text: str) -> str:
    """Return untrusted text as a code span in which nothing is markup."""
    escaped = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", escape_controls(text))
    return f"<code>{escaped}</code>"


def fenced_block(text: str, language: str = "") -> str:
    """Return untrusted text as a code block; the fence is longer than any fence inside."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _format_head(report: CheckReport) -> Iterator[str]:
    radius = report.count_blast_radius()
    failing = any(report.is_failing(one) for one in report.runs)
    yield f"### {'❌' if failing else '✅'} replaytool: {report.blast_radius_sentence()}"
    yield ""
    counts = report.count_verdicts()
    yield ", ".join(f"{counts[word]:,} {word}" for word in WORDS if counts[word]) or "nothing was checked"
    if report.base is not None:
        yield f"\nCompared with {code_span(report.base.ref)} at {code_span(report.base.commit[:12])}"
        if report.base.trouble:
            yield f"(its code could not be replayed; all findings count as new: {code_span(report.base.trouble)})"
        if report.base.left_out:
            yield f"({report.base.left_out:,} runs reach no changed code and were not replayed again)"
    if not report.complete:
        yield "\n**Interrupted: this report is incomplete.**"
    yield ""
    for title, shares in (("Workflow type", radius.by_type), ("Waiting for", radius.by_wait)):
        yield from _format_shares(title, [share for share in shares if share.broken])
    yield ""


def _format_shares(title: str, shares: Sequence[ImpactGroup]) -> Iterator[str]:
    """List shares below each other: a phone shows a table of five columns cut off."""
    for share in shares[:_MOST_SHARES]:
        still = f", {share.broken_open:,} still open" if share.broken_open else ""
        yield f"- {title} {code_span(share.name)}: {share.broken:,} of {share.runs:,} fail{still}"


def _format_guilty(report: CheckReport) -> Iterator[str]:
    for found in list_guilty_edits(report)[:_MOST_SETS]:
        yield f"#### ❌ Guilty: {code_span(format_headline(found))}\n"
        yield fenced_block("\n".join(list_diff_lines(found)), "diff") + "\n"
        yield f"{code_span(format_proof(found))}\n"
    if report.guilty is not None:
        yield from (f"{code_span(line)}\n" for line in list_search_notes(report.guilty))


def _format_cause(report: CheckReport, one: ReportedCause) -> Iterator[str]:
    """Show in short lines what parts where, and what to do; code, fields and commands are folded."""
    verdict, site = one.example.verdict, one.cause.call_site
    yield f"#### {_MARKS[one.level]} {one.cause.verdict}: {one.run_count_text}\n"
    yield f"{code_span(one.cause.message or verdict.reason)}\n"
    if site is not None:
        yield f"{code_span(f'{one.display_path}:{site.line}')} in {code_span(site.function)}\n"
    if lines := list(_list_short_sides(one.example)):
        yield fenced_block("\n".join(lines), "diff") + "\n"
    for found in (verdict.divergence, verdict.failure):
        if found is not None and found.advice:
            yield f"{code_span(found.advice)}\n"
    yield "<details><summary>Code, fields and commands</summary>\n"
    if site is not None and (lines := read_source_excerpt(site)):
        yield fenced_block("\n".join(lines)) + "\n"
    if lines := [f"{mark} {line}" for mark, line in list_side_lines(one.example)]:
        yield fenced_block("\n".join(lines), "diff") + "\n"
    yield f"For example {_format_run(one.example)}\n"
    yield fenced_block(one.debug_command, "sh") + "\n"
    if can_be_reset(one):
        loaded = " after `replaytool load`" if report.origin.from_files else ""
        yield f"If this code is deployed already, this command{loaded} plans a reset of the open runs:\n"
        yield fenced_block(format_reset_command(report.origin), "sh") + "\n"
    yield "</details>\n"


def _list_short_sides(one: CheckedRun) -> Iterator[str]:
    """Return both sides without fields, in lines that fit a phone."""
    found = one.verdict.divergence
    if found is None:
        yield from (shorten_text(f"{mark} {line}", _PHONE) for mark, line in list_side_lines(one))
        return
    recorded = f"{found.expected.event_type} {found.expected.name}" if found.expected else "nothing"
    produced = f"{found.actual.kind.replace('_', ' ')} {found.actual.name}" if found.actual else "nothing"
    yield shorten_text(escape_controls(f"- event {found.event_id}: {recorded}"), _PHONE)
    yield shorten_text(escape_controls(f"+ code: {produced}"), _PHONE)


def _format_run(one: CheckedRun) -> str:
    return f"{code_span(one.subject.workflow_type)} {code_span(format_run_name(one))}"


def _format_foot(report: CheckReport) -> Iterator[str]:
    repaired = report.repaired_runs()
    if repaired:
        yield f"<details><summary>✅ The change repairs {count_noun(len(repaired), 'run')}</summary>\n"
        for one in repaired[:_MOST_REPAIRED]:
            yield f"- {_format_run(one)}, {one.base} before"
        if len(repaired) > _MOST_REPAIRED:
            yield f"- … and {len(repaired) - _MOST_REPAIRED:,} more"
        yield "\n</details>\n"
    if unseen := list_uncompared_parts(report):
        yield "<details><summary>Not compared, since the history does not hold it</summary>\n"
        yield from (f"- {code_span(one)}" for one in unseen)
        yield "\n</details>\n"
    modules = ", ".join(code_span(module) for module in report.code.modules[:10])
    yield f"<sub>{modules or 'no code'}, {count_noun(sum(one.subject.events for one in report.runs), 'event')}</sub>\n"
