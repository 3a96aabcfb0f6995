"""The JSON report, as docs/check-report.schema.json describes it."""

from __future__ import annotations

import json

from replaytool import __version__
from replaytool.model.verdict import CheckReport, to_report_json


def render(report: CheckReport) -> str:
    """Return one JSON object."""
    return json.dumps(to_report_json(report, __version__), indent=1) + "\n"
