"""GitHub workflow commands: one annotation for each cause, no more than GitHub shows, the worst first."""

from __future__ import annotations

from collections.abc import Iterator

from replaytool.model.verdict import CheckReport
from replaytool.render.report import markdown
from replaytool.render.report.summary import Level, Told, expected_line, told
from replaytool.text import visible

_COMMANDS: dict[Level, str] = {"error": "error", "warning": "warning", "note": "notice"}
_SHOWN_BY_GITHUB = 10
_SUMMARY_BYTES = 900 * 1024
"""GitHub takes 1,024 KiB for a step and drops the whole of what is longer."""


def render(report: CheckReport) -> str:
    """What a step prints for GitHub to read."""
    return "".join(f"{line}\n" for line in _lines(report))


def summary(report: CheckReport, already: int = 0) -> str:
    """The Markdown for $GITHUB_STEP_SUMMARY, beside so many bytes that stand there."""
    return markdown.render(report, _SUMMARY_BYTES - already)


def _lines(report: CheckReport) -> Iterator[str]:
    left = dict.fromkeys(_COMMANDS, _SHOWN_BY_GITHUB)
    left["note"] -= 1
    unseen = 0
    for one in told(report):
        if left[one.level]:
            left[one.level] -= 1
            yield _annotation(one)
        else:
            unseen += 1
    more = f"; {unseen} more causes are in the report" if unseen else ""
    yield f"::notice title=replaytool::{_data(report.count_blast_radius().sentence() + more)}"


def _annotation(one: Told) -> str:
    properties = {"title": f"replaytool {one.cause.verdict}", "file": visible(one.path), "line": str(one.line)}
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    divergence = one.example.verdict.divergence
    lines = [f"{visible(one.cause.message)} ({one.count})"]
    if divergence is not None and divergence.expected is not None:
        lines.append(f"history: {expected_line(divergence.expected)}")
    if divergence is not None and divergence.advice:
        lines.append(visible(divergence.advice))
    return f"::{_COMMANDS[one.level]} {given}::{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
