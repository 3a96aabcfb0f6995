"""The report for programs, as docs/check-report.schema.json describes it."""

from __future__ import annotations

import json

from replaytool import __version__
from replaytool.model.verdict import Report, as_json


def render(report: Report) -> str:
    """One object."""
    return json.dumps(as_json(report, __version__), indent=1) + "\n"
