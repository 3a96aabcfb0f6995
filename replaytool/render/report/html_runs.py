"""The list of runs on the HTML page: its first rows as HTML, and all as data for the script that searches it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from replaytool.check.causes import describe_finding
from replaytool.model.verdict import CheckedRun, CheckReport
from replaytool.render.report.html_text import escape_text
from replaytool.render.report.summary import ReportedCause, format_run_name
from replaytool.text import count_noun, cut_long_words, escape_controls

_SHOWN = 100
"""Rows at once: a browser lays out more slowly than a script searches."""
_MOST_SEARCHED = 20_000
_COLUMNS = ("verdict", "workflow", "type", "status", "waiting for", "event", "finding", "run key", "source")
_SERIOUS = ("diverged", "failed", "crashed", "unverified", "drift", "ok")


def render_run_list(report: CheckReport, causes: Sequence[ReportedCause]) -> Iterator[str]:
    """Yield a section with every run: what fails first."""
    runs = sorted(report.runs, key=lambda one: (not report.is_failing(one), _SERIOUS.index(one.verdict.verdict)))
    numbers = {run.subject.run_key: number for number, one in enumerate(causes) for run in one.runs}
    rows = [_make_row(one) for one in runs[:_MOST_SEARCHED]]
    yield '<section class="all" id="runs"><h2>Runs</h2>'
    shown = f"{count_noun(min(len(rows), _SHOWN), 'run')} of {len(runs):,}, what fails first"
    yield f'<p class="place" id="found" aria-live="polite">{shown}; the JSON report lists all</p>'
    yield '<div class="runs"><table><thead><tr>'
    yield "".join(f"<th>{name}</th>" for name in _COLUMNS) + '</tr></thead><tbody id="rows">'
    for row in rows[:_SHOWN]:
        cells = "".join(f"<td>{escape_text(cell)}</td>" for cell in row[1:])
        yield f'<tr><td class="{row[0]}">{row[0]}</td>{cells}</tr>'
    yield "</tbody></table></div>"
    yield '<button type="button" id="more" hidden>Show more</button>'
    keys = [numbers.get(one.subject.run_key, -1) for one in runs[:_MOST_SEARCHED]]
    yield f'<script type="application/json" id="data">{_encode_data(rows, keys, len(runs))}</script></section>'


def _make_row(one: CheckedRun) -> tuple[str, ...]:
    subject, verdict = one.subject, one.verdict
    finding = "" if verdict.verdict == "ok" else describe_finding(one.verdict)
    event = "" if verdict.event_id is None else str(verdict.event_id)
    cells = (subject.workflow_type, subject.status, subject.waits_for, event, finding, subject.run_key, subject.source)
    return (verdict.verdict, format_run_name(one), *map(escape_controls, cells))


def _encode_data(rows: Sequence[tuple[str, ...]], causes: Sequence[int], total: int) -> str:
    """Return JSON that cannot end its own element: < and & are written as escapes."""
    cut = [[cut_long_words(cell) for cell in row] for row in rows]
    text = json.dumps({"rows": cut, "causes": list(causes), "total": total}, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("##[", "\\u0023#[")
