"""GitLab's code quality report: one entry per cause, shown next to its line in a merge request."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from replaytool.model.guilty import EditHunk, GuiltyEdits
from replaytool.model.verdict import CheckReport
from replaytool.render.report.guilty_edits import find_line, format_headline, format_proof, list_guilty_edits
from replaytool.render.report.summary import ReportedCause, list_reported_causes
from replaytool.text import cut_long_words_inside, escape_controls

_SEVERITIES = {"error": "critical", "warning": "minor", "note": "info"}


def render(report: CheckReport) -> str:
    """Return the list of entries. GitLab wants unique fingerprints that do not change when lines move."""
    seen: Counter[str] = Counter()
    entries = [
        _make_guilty_entry(found, hunk) for found in list_guilty_edits(report) for hunk in found.hunks if found.breaks
    ]
    for one in list_reported_causes(report):
        seen[one.cause.fingerprint] += 1
        entries.append(_make_entry(one, seen[one.cause.fingerprint]))
    return json.dumps(cut_long_words_inside(entries, {"path"}), indent=1) + "\n"


def _make_guilty_entry(found: GuiltyEdits, hunk: EditHunk) -> dict[str, object]:
    key = "\0".join((hunk.path, *hunk.removed, "", *hunk.added))
    return {
        "description": f"{format_headline(found)}; {format_proof(found)}",
        "check_name": "replaytool-guilty",
        "fingerprint": hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16],
        "severity": "critical",
        "location": {"path": escape_controls(hunk.path), "lines": {"begin": find_line(hunk)}},
    }


def _make_entry(one: ReportedCause, number: int) -> dict[str, object]:
    return {
        "description": f"{one.headline} ({one.run_count_text})",
        "check_name": f"replaytool-{one.cause.verdict}",
        "fingerprint": one.cause.fingerprint + (f"-{number}" if number > 1 else ""),
        "severity": _SEVERITIES[one.level],
        "location": {"path": escape_controls(one.display_path), "lines": {"begin": one.display_line}},
    }
