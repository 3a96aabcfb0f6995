"""Output for people, programs and CI. It must never ask a server, a store or an engine: it only formats values.

To add a report format, write one file with `render(report) -> str` in `report/`, and add a row to RENDERERS and one to
_NUMBER_SIGN.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from replaytool.model.verdict import CheckReport
from replaytool.text import cut_long_words

RENDERERS: Mapping[str, str] = {
    "text": "replaytool.render.report.text",
    "json": "replaytool.render.report.json_report",
    "jsonl": "replaytool.render.report.jsonl_report",
    "brief": "replaytool.render.report.brief_report",
    "junit": "replaytool.render.report.junit",
    "sarif": "replaytool.render.report.sarif",
    "github": "replaytool.render.report.github",
    "gitlab": "replaytool.render.report.gitlab",
    "markdown": "replaytool.render.report.markdown",
    "html": "replaytool.render.report.html",
}


# How a number sign is written so that a log which reads `##[…]` as a command, wherever it stands, reads none here.
_NUMBER_SIGN: Mapping[str, str] = {
    "text": "# ",
    "json": "\\u0023",
    "jsonl": "\\u0023",
    "brief": "\\u0023",
    "junit": "&#35;",
    "sarif": "\\u0023",
    "github": "# ",
    "gitlab": "\\u0023",
    "markdown": "# ",
    "html": "&#35;",
}


_FOR_PEOPLE = ("text", "github", "markdown")
"""Formats whose text can be cut after it is written. In the others, each value is cut, or none: `json` is complete."""


def render(report: CheckReport, name: str) -> str:
    """Return the report in one of the formats of RENDERERS."""
    renderer: Callable[[CheckReport], str] = importlib.import_module(RENDERERS[name]).render
    text = renderer(report)
    return (cut_long_words(text) if name in _FOR_PEOPLE else text).replace("##[", f"{_NUMBER_SIGN[name]}#[")
