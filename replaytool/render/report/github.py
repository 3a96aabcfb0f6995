"""GitHub workflow commands: one annotation per cause, the most serious first, up to GitHub's limit."""

from __future__ import annotations

from collections.abc import Iterator

from replaytool.model.guilty import EditHunk, GuiltyEdits
from replaytool.model.verdict import CheckReport
from replaytool.render.report import markdown
from replaytool.render.report.guilty_edits import find_line, format_headline, format_proof, list_guilty_edits
from replaytool.render.report.summary import Level, ReportedCause, format_expected, list_reported_causes
from replaytool.text import escape_controls

_COMMANDS: dict[Level, str] = {"error": "error", "warning": "warning", "note": "notice"}
_SHOWN_BY_GITHUB = 10
_SUMMARY_BYTES = 900 * 1024
"""GitHub accepts 1,024 KiB per step and drops a longer summary completely."""


def render(report: CheckReport) -> str:
    """Return the workflow commands that a step prints."""
    return "".join(f"{line}\n" for line in _list_annotations(report))


def render_step_summary(report: CheckReport, already: int = 0) -> str:
    """Return Markdown for $GITHUB_STEP_SUMMARY; `already` is the number of bytes in that file."""
    return markdown.render(report, _SUMMARY_BYTES - already)


def _list_annotations(report: CheckReport) -> Iterator[str]:
    left = dict.fromkeys(_COMMANDS, _SHOWN_BY_GITHUB)
    left["note"] -= 1
    unseen = 0
    for found in list_guilty_edits(report):
        for hunk in found.hunks:
            if left["error"]:
                left["error"] -= 1
                yield _format_guilty_annotation(found, hunk)
            else:
                unseen += 1
    for one in list_reported_causes(report):
        if left[one.level]:
            left[one.level] -= 1
            yield _format_annotation(one)
        else:
            unseen += 1
    more = f"; the report has {unseen} more causes" if unseen else ""
    yield f"::notice title=replaytool::{_escape_data(report.blast_radius_sentence() + more)}"


def _format_guilty_annotation(found: GuiltyEdits, hunk: EditHunk) -> str:
    end = f",endLine={hunk.new_start + hunk.new_lines - 1}" if hunk.new_lines > 1 else ""
    place = f"file={_escape_property(escape_controls(hunk.path))},line={find_line(hunk)}{end}"
    text = _escape_data(f"{format_headline(found)}\n{format_proof(found)}")
    return f"::error title=replaytool guilty edit,{place}::{text}"


def _format_annotation(one: ReportedCause) -> str:
    properties = {
        "title": f"replaytool {one.cause.verdict}",
        "file": escape_controls(one.display_path),
        "line": str(one.display_line),
    }
    given = ",".join(f"{key}={_escape_property(value)}" for key, value in properties.items())
    divergence = one.example.verdict.divergence
    lines = [f"{escape_controls(one.cause.message)} ({one.run_count_text})"]
    if divergence is not None and divergence.expected is not None:
        lines.append(f"history: {format_expected(divergence.expected)}")
    if divergence is not None and divergence.advice:
        lines.append(escape_controls(divergence.advice))
    return f"::{_COMMANDS[one.level]} {given}::{_escape_data(chr(10).join(lines))}"


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
