"""The report for programs that read line by line: a head, then each cause, then each run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from replaytool import __version__
from replaytool.model.verdict import CheckReport, to_report_json


def render(report: CheckReport) -> str:
    """One object on each line; `record` says of what."""
    return "".join(json.dumps(line) + "\n" for line in _lines(to_report_json(report, __version__)))


def _lines(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    causes, runs = whole.pop("causes"), whole.pop("runs")
    yield {"record": "report", **whole}
    yield from ({"record": "cause", **cause} for cause in causes)
    yield from ({"record": "run", **run} for run in runs)
