"""The report as JSON lines: the report without lists, then every cause, then every run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from replaytool import __version__
from replaytool.model.verdict import CheckReport, to_report_json


def render(report: CheckReport) -> str:
    """Return one object per line; its `record` says whether it is the report, a cause or a run."""
    return "".join(json.dumps(line) + "\n" for line in _list_records(to_report_json(report, __version__)))


def _list_records(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    causes, runs = whole.pop("causes"), whole.pop("runs")
    yield {"record": "report", **whole}
    yield from ({"record": "cause", **cause} for cause in causes)
    yield from ({"record": "run", **run} for run in runs)
