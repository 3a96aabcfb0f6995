"""GitLab's code quality report: one entry for each cause, shown beside the line in a merge request."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from replaytool.model.verdict import CheckReport
from replaytool.render.report.summary import Told, told
from replaytool.text import visible

_SEVERITIES = {"error": "critical", "warning": "minor", "note": "info"}


def render(report: CheckReport) -> str:
    """One list. A fingerprint may be there once, and must hold no line number."""
    seen: Counter[str] = Counter()
    entries = []
    for one in told(report):
        seen[one.cause.fingerprint] += 1
        entries.append(_entry(one, seen[one.cause.fingerprint]))
    return json.dumps(entries, indent=1) + "\n"


def _entry(one: Told, number: int) -> dict[str, Any]:
    return {
        "description": f"{one.title} ({one.count})",
        "check_name": f"replaytool-{one.cause.verdict}",
        "fingerprint": one.cause.fingerprint + (f"-{number}" if number > 1 else ""),
        "severity": _SEVERITIES[one.level],
        "location": {"path": visible(one.path), "lines": {"begin": one.line}},
    }
