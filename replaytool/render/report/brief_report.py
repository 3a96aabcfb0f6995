"""The brief JSON report, for a reader with little room: a coding agent, a chat. It names what it leaves out.

Whatever the number of runs, it has at most MOST_LETTERS letters, about 1,500 tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from replaytool import __version__
from replaytool.model.guilty import EditHunk, GuiltySearch
from replaytool.model.verdict import SCHEMA, CheckReport
from replaytool.render.code_frame import path_in_repository
from replaytool.render.report.summary import (
    ReportedCause,
    format_debug_command,
    list_reported_causes,
    list_uncompared_parts,
)
from replaytool.text import cut_long_words, escape_controls, shorten_text

MOST_LETTERS = 4000
"""JSON has rarely more than one token in 2.7 letters."""
_WIDEST = 240
_MOST_FILES = 6


def render(report: CheckReport) -> str:
    """Return one JSON object on one line."""
    return encode_brief(make_brief_report(report)) + "\n"


def encode_brief(plain: object) -> str:
    """Return JSON without blanks, in ASCII so that its length is its number of bytes."""
    return json.dumps(plain, separators=(",", ":"))


def make_brief_report(report: CheckReport, most_letters: int = MOST_LETTERS) -> dict[str, Any]:
    """Return the verdict, and as many guilty edits and causes as there is room for; the others are counted."""
    causes = list_reported_causes(report)
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "tool": f"replaytool {__version__}",
        "failing_runs": sum(report.is_failing(one) for one in report.runs),
        "sentence": _cut(report.blast_radius_sentence()),
        "summary": report.count_verdicts(),
        "complete": report.complete,
        "code": _cut_list([path_in_repository(one) for one in report.code.loaded or report.code.modules], _MOST_FILES),
        "cannot_see": _cut_list(list_uncompared_parts(report), 3),
        "next": _suggest_next_command(report, causes),
    }
    if report.base is not None:
        found["base"] = {"ref": _cut(report.base.ref), "trouble": _cut(report.base.trouble)}
    if report.guilty is not None:
        found["guilty_search"] = _brief_search(report.guilty)
        _add_what_fits(
            found, "guilty", [_brief_guilty(one.hunks, one.breaks, one.alone) for one in report.guilty.found],
            most_letters // 2,
        )  # fmt: skip
    _add_what_fits(found, "causes", [_brief_cause(one) for one in causes], most_letters)
    return found


def _add_what_fits(found: dict[str, Any], key: str, listed: Sequence[dict[str, Any]], most_letters: int) -> None:
    found[key], found[f"{key}_left_out"] = [], len(listed)
    for one in listed:
        found[key].append(one)
        if len(encode_brief(found)) > most_letters:
            found[key].pop()
            return
        found[f"{key}_left_out"] -= 1


def _brief_cause(one: ReportedCause) -> dict[str, Any]:
    cause, verdict = one.cause, one.example.verdict
    told = verdict.divergence or verdict.failure
    described = {
        "verdict": cause.verdict,
        "level": one.level,
        "runs": cause.runs,
        "message": _cut(cause.message),
        "where": f"{escape_controls(one.display_path)}:{one.display_line}" if cause.call_site else "",
        "event": verdict.event_id,
        "run": cause.example,
        "known": cause.known,
        "advice": _cut(told.advice) if told else "",
    }
    return {key: value for key, value in described.items() if value}


def _brief_search(search: GuiltySearch) -> dict[str, Any]:
    described: dict[str, Any] = {
        "note": _cut(search.note),
        "complete": search.complete,
        "edits": search.edits,
        "unexplained": len(search.unexplained),
    }
    if search.fix is not None:
        described["fix"] = {
            "proven": search.fix.replayed,
            "change_ids": _cut_list(search.fix.change_ids, 5),
            "healed": search.fix.healed,
            "note": _cut(search.fix.note),
        }
    return described


def _brief_guilty(hunks: Sequence[EditHunk], breaks: Sequence[str], alone: bool) -> dict[str, Any]:
    edits = [
        {
            "where": f"{escape_controls(one.path)}:{one.new_start}",
            "removed": _cut("".join(one.removed), 160),
            "added": _cut("".join(one.added), 160),
        }
        for one in hunks[:3]
    ]
    return {"edits": edits, "more_edits": max(0, len(hunks) - 3), "breaks": len(breaks), "alone": alone}


def _suggest_next_command(report: CheckReport, causes: Sequence[ReportedCause]) -> str:
    failing = [one for one in causes if one.level == "error"]
    if not failing:
        return ""
    if report.guilty is not None and report.guilty.found and report.guilty.fix is None and report.base is not None:
        return f"replaytool check --base {_cut(report.base.ref, 60)} --fix -o fix.diff"
    return _cut(format_debug_command(report.origin, failing[0].example), 600)


def _cut(text: str, width: int = _WIDEST) -> str:
    return shorten_text(escape_controls(cut_long_words(text)), width)


def _cut_list(listed: Sequence[str], most: int, cut: Callable[[str], str] = _cut) -> list[str]:
    more = [f"… and {len(listed) - most} more"] if len(listed) > most else []
    return [*(cut(one) for one in listed[:most]), *more]
