"""How results are written: for people, for programs, for CI.

Adding a format for reports: write one file with `render(report) -> str`, and give it a row in RENDERERS.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from replaytool.verdict import Report

RENDERERS: Mapping[str, str] = {
    "text": "replaytool.render.text",
    "json": "replaytool.render.report_json",
}


def render(report: Report, name: str) -> str:
    """The report in one of the formats."""
    renderer: Callable[[Report], str] = importlib.import_module(RENDERERS[name]).render
    return renderer(report)
