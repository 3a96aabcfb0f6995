"""Markdown for a comment on a pull request or for a step's summary: short first, the details folded.

Whatever a history or the code says stands in a code span or in a fence: there it mentions nobody and is
no HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from replaytool.model.verdict import WORDS, CheckedRun, CheckReport
from replaytool.render.code_frame import excerpt
from replaytool.render.report.summary import Told, look, name, sides, told
from replaytool.text import counted, visible

_COMMENT_CHARACTERS = 65_000
"""GitHub takes 65,536 for a comment."""
_MARKS = {"error": "❌", "warning": "⚠️", "note": "ℹ️"}  # noqa: RUF001 - the sign is meant
_MOST_SHARES = 12
_MOST_REPAIRED = 20
_SPECIAL = re.compile(r"[^\w ,()/=-]|_")


def render(report: CheckReport, limit: int = _COMMENT_CHARACTERS) -> str:
    """As many causes as the limit in bytes has room for, the worst first."""
    head, foot = "\n".join(_head(report)), "\n".join(_foot(report))
    room = limit - len(head.encode()) - len(foot.encode()) - 200
    parts, left_out = [head], 0
    for one in told(report):
        part = "\n".join(_cause(one))
        room -= len(part.encode()) + 1
        if left_out or room < 0:
            left_out += 1
        else:
            parts.append(part)
    if left_out:
        parts.append(f"… and {counted(left_out, 'more cause')}: the JSON and HTML reports have all.\n")
    return "\n".join([*parts, foot])


def code(text: str) -> str:
    """Text of others in a line: shown as it is, whatever it says."""
    escaped = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", visible(text))
    return f"<code>{escaped}</code>"


def fenced(text: str, language: str = "") -> str:
    """Text of others as a block; the fence is longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _head(report: CheckReport) -> Iterator[str]:
    radius = report.count_blast_radius()
    failing = any(report.is_failing(one) for one in report.runs)
    yield f"### {'❌' if failing else '✅'} replaytool: {radius.sentence()}"
    yield ""
    counts = report.count_verdicts()
    yield ", ".join(f"{counts[word]:,} {word}" for word in WORDS if counts[word]) or "nothing was checked"
    if report.base is not None:
        yield f"\nCompared with {code(report.base.ref)} at {code(report.base.commit[:12])}"
        if report.base.trouble:
            yield f", which could not be asked, so that all findings are new: {code(report.base.trouble)}"
        if report.base.left_out:
            yield f"; {report.base.left_out:,} runs come by nothing that has changed, and were not replayed again"
    if not report.complete:
        yield "\n**Interrupted: this is what was known.**"
    yield ""
    for title, shares in (("workflow type", radius.by_type), ("waits for", radius.by_wait)):
        if radius.broken and shares:
            yield f"| {title} | runs | open | broken | broken and open |\n|---|--:|--:|--:|--:|"
            for share in shares[:_MOST_SHARES]:
                numbers = f"{share.runs:,} | {share.open:,} | {share.broken:,} | {share.broken_open:,}"
                yield f"| {code(share.name)} | {numbers} |"
            yield ""


def _cause(one: Told) -> Iterator[str]:
    yield f"#### {_MARKS[one.level]} {code(one.title)}: {one.count}"
    yield ""
    site = one.cause.call_site
    if site is not None:
        yield f"{code(f'{one.path}:{site.line}')} in {code(site.function)}\n"
        if lines := excerpt(site):
            yield fenced("\n".join(lines)) + "\n"
    if lines := [f"{mark} {line}" for mark, line in sides(one.example)]:
        yield fenced("\n".join(lines), "diff") + "\n"
    advice = one.example.verdict.divergence.advice if one.example.verdict.divergence else ""
    if advice:
        yield f"{code(advice)}\n"
    if not lines:
        yield f"{code(one.example.verdict.reason)}\n"
    yield f"For example {_run(one.example)}; look: {code(look(one.example))}\n"


def _run(one: CheckedRun) -> str:
    return f"{code(one.subject.workflow_type)} {code(name(one))}"


def _foot(report: CheckReport) -> Iterator[str]:
    repaired = report.repaired_runs()
    if repaired:
        yield f"<details><summary>✅ The change repairs {counted(len(repaired), 'run')}</summary>\n"
        for one in repaired[:_MOST_REPAIRED]:
            yield f"- {_run(one)}, {one.base} before"
        if len(repaired) > _MOST_REPAIRED:
            yield f"- … and {len(repaired) - _MOST_REPAIRED:,} more"
        yield "\n</details>\n"
    modules = ", ".join(code(module) for module in report.code.modules[:10])
    yield f"<sub>{modules or 'no code'}, {counted(sum(one.subject.events for one in report.runs), 'event')}</sub>\n"
