"""A single HTML page that works offline: it loads nothing from the network.

Its one script searches the page. The policy of the page names the script's hash, so that no other script runs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files

from replaytool.model.blast_radius import ImpactGroup
from replaytool.model.verdict import WORDS, CallSite, CheckedRun, CheckReport, Divergence, Verdict
from replaytool.render.code_frame import path_in_repository, read_source_excerpt
from replaytool.render.report.guilty_edits import (
    format_headline,
    format_proof,
    list_diff_lines,
    list_guilty_edits,
    list_search_notes,
)
from replaytool.render.report.html_runs import render_run_list
from replaytool.render.report.html_text import escape_html, escape_text
from replaytool.render.report.summary import (
    ReportedCause,
    can_be_reset,
    format_reset_command,
    format_run_name,
    list_reported_causes,
    list_side_lines,
    list_uncompared_parts,
    shorten_value,
)
from replaytool.render.run_chart import draw_svg
from replaytool.text import count_noun, escape_controls

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
_MOST_RUNS = 50
_MOST_SHARES = 20
_DIFF = {"-": "history", "+": "code"}
_SIDES = {"-": "history", "+": "code", " ": "same", "!": "wrong"}


def render(report: CheckReport) -> str:
    """Return the page."""
    style, script = (_read_part(name) for name in ("report.css", "report.js"))
    policy = _POLICY.format(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())
    causes = list_reported_causes(report)
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>replaytool: {escape_html(report.blast_radius_sentence())}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>\n<main>",
            *_render_head(report),
            *_render_guilty(report),
            *(line for number, one in enumerate(causes) for line in _render_cause(report, one, number)),
            *_render_repaired_runs(report),
            *_render_hazards(report),
            *_render_unseen_parts(report),
            *render_run_list(report, causes),
            f"</main>\n<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _read_part(name: str) -> str:
    return files("replaytool.render.report").joinpath(name).read_text(encoding="utf-8")


def _render_head(report: CheckReport) -> Iterator[str]:
    radius, counts = report.count_blast_radius(), report.count_verdicts()
    state = "bad" if any(report.is_failing(one) for one in report.runs) else "good"
    yield f'<header class="{state}"><h1>{escape_html(report.blast_radius_sentence())}</h1>'
    cut = " · interrupted: this report is incomplete" if not report.complete else ""
    modules = ", ".join(escape_text(module) for module in report.code.modules[:10]) or "no code"
    yield f"<p>{modules} · {count_noun(counts['events'], 'event')} · {report.seconds:.1f} s{cut}</p></header>"
    if report.base is not None:
        trouble = f"; its code could not be replayed: {escape_text(report.base.trouble)}" if report.base.trouble else ""
        at = f"<code>{escape_text(report.base.ref)}</code> at <code>{escape_text(report.base.commit[:12])}</code>"
        yield f'<p class="place">compared with {at}{trouble}</p>'
    yield '<ul class="counts">'
    for word in WORDS:
        if counts[word]:
            yield f'<li><button type="button" class="{word}" value="{word}" aria-pressed="false">'
            yield f"<b>{counts[word]:,}</b> {word}</button></li>"
    yield "</ul>"
    yield '<p id="filters" hidden><input id="search" type="search" aria-label="Search causes and runs" '
    yield 'placeholder="Search: workflow, type, run key, line, words of a finding"></p>'
    if radius.broken:
        yield '<section class="shares">'
        yield from _render_shares("Workflow type", radius.by_type)
        yield from _render_shares("Waiting for", radius.by_wait)
        yield "</section>"


def _render_shares(title: str, shares: Sequence[ImpactGroup]) -> Iterator[str]:
    if not shares:
        return
    yield f"<table><thead><tr><th>{title}</th>"
    yield "<th>runs</th><th>open</th><th>failing</th><th>failing and open</th></tr></thead>"
    for share in shares[:_MOST_SHARES]:
        cells = "".join(f"<td>{number:,}</td>" for number in (share.runs, share.open, share.broken, share.broken_open))
        yield f"<tr><td>{escape_text(share.name)}</td>{cells}</tr>"
    yield "</table>"


def _render_guilty(report: CheckReport) -> Iterator[str]:
    for found in list_guilty_edits(report)[:_MOST_SHARES]:
        yield '<details class="cause error guilty" open><summary><span class="word">guilty</span> '
        yield f"{escape_html(format_headline(found))}</summary>"
        yield '<div class="sides">'
        for line in list_diff_lines(found):
            yield f'<pre class="{_DIFF.get(line[:1], "same")}">{escape_html(line)}</pre>'
        yield f'</div><p class="advice">{escape_html(format_proof(found))}</p></details>'
    if report.guilty is not None:
        yield from (f'<p class="place">{escape_html(line)}</p>' for line in list_search_notes(report.guilty))


def _render_cause(report: CheckReport, one: ReportedCause, number: int) -> Iterator[str]:
    opened = " open" if number < 3 else ""
    yield f'<details class="cause {one.level}" data-verdict="{one.cause.verdict}" data-cause="{number}"{opened}>'
    yield "<summary>"
    yield f'<span class="word {one.cause.verdict}">{one.cause.verdict}</span> {escape_text(one.cause.message)}'
    yield f" <i>{escape_html(one.run_count_text)}</i></summary>"
    yield from _render_place(one)
    yield '<div class="sides">'
    lines = list(list_side_lines(one.example)) or [(" ", escape_controls(one.example.verdict.reason))]
    yield from (f'<pre class="{_SIDES[mark]}">{mark} {escape_html(line)}</pre>' for mark, line in lines)
    yield "</div>"
    yield from _render_advice(one.example.verdict)
    yield from _render_chart(one, is_first=number == 0)
    yield from _render_commands(report, one)
    yield from _render_runs(one, number)
    yield "</details>"


def _render_place(one: ReportedCause) -> Iterator[str]:
    site = one.cause.call_site
    if site is not None:
        yield f'<p class="place">{_render_call_site(site)}</p>'
        yield from _render_code(read_source_excerpt(site), one.example.verdict.divergence)
        yield from (f'<p class="place">awaited at {_render_call_site(up)}</p>' for up in site.chain)


def _render_advice(verdict: Verdict) -> Iterator[str]:
    if verdict.divergence is not None:
        yield from _render_field_table(verdict.divergence)
    for found in (verdict.divergence, verdict.failure):
        if found is not None and found.advice:
            yield f'<p class="advice">{escape_text(found.advice)}</p>'


def _render_chart(one: ReportedCause, *, is_first: bool) -> Iterator[str]:
    timeline, marked = one.cause.timeline, one.example.verdict.event_id
    if timeline is None:
        return
    chart = draw_svg(timeline, *_describe_mark(one))
    yield f'<figure><div class="chart">{chart}</div><figcaption>{_render_caption(one)}</figcaption></figure>'
    if timeline.around:
        yield f'<details{" open" if is_first else ""}><summary>Events around</summary><table class="around">'
        for event in timeline.around:
            mark = ' class="marked"' if event.event_id == marked else ""
            kind, name = escape_text(event.event_type), escape_text(event.name)
            yield f"<tr{mark}><td>{event.event_id}</td><td>{kind}</td><td>{name}</td></tr>"
        yield "</table></details>"


def _render_commands(report: CheckReport, one: ReportedCause) -> Iterator[str]:
    yield f'<p class="place">Debug: <code>{escape_text(one.debug_command)}</code></p>'
    if can_be_reset(one):
        loaded = " after <code>replaytool load</code>" if report.origin.from_files else ""
        yield '<p class="place">If this code is deployed already, this command'
        yield f"{loaded} plans a reset of each open run to the last task up to which the code replays: "
        yield f"<code>{escape_text(format_reset_command(report.origin))}</code></p>"


def _render_call_site(site: CallSite) -> str:
    place = f"{path_in_repository(site.file)}:{site.line}"
    return f"<code>{escape_text(place)}</code> in <code>{escape_text(site.function)}</code>"


def _render_code(lines: Sequence[str], found: Divergence | None) -> Iterator[str]:
    """Show the source, and below the marked line what the history has and what the code issues."""
    if not lines:
        return
    yield '<pre class="code">'
    for line in lines[1:-1]:
        is_marked = " > " in line[:9]
        yield f"<mark>{escape_html(line)}</mark>" if is_marked else escape_html(line)
        if is_marked and found is not None:
            expected, actual = found.expected, found.actual
            recorded = f"event {found.event_id}: " + (
                f"{expected.event_type} {expected.name}" if expected else "nothing"
            )
            produced = f"{actual.kind.replace('_', ' ')} {actual.name}" if actual else "nothing"
            yield f'<span class="history">   history  {escape_text(recorded)}</span>'
            yield f'<span class="code">   code     {escape_text(produced)}</span>'
    yield "</pre>"


def _render_field_table(found: Divergence) -> Iterator[str]:
    """Compare both sides field by field, if they are of one kind."""
    if found.expected is None or found.actual is None or not found.differing:
        return
    yield '<table class="fields"><thead><tr><th>field</th><th>history</th><th>code</th></tr></thead>'
    for key in found.differing:
        pair = (found.expected.fields.get(key, ""), found.actual.fields.get(key, ""))
        cells = "".join(f"<td><code>{escape_text(shorten_value(value))}</code></td>" for value in pair)
        yield f"<tr><td>{escape_text(key)}</td>{cells}</tr>"
    yield "</table>"


def _render_caption(one: ReportedCause) -> str:
    timeline = one.cause.timeline
    omitted = f" {timeline.omitted:,} more rows are not shown." if timeline and timeline.omitted else ""
    said = (
        f"{one.example.subject.workflow_type} {format_run_name(one.example)}, by event; thin lines are workflow tasks."
    )
    return f"{escape_text(said)}{omitted}"


def _describe_mark(one: ReportedCause) -> tuple[int | None, str]:
    """Return the event to mark in the chart, and the label of the mark."""
    return one.example.verdict.event_id, "first mismatch" if one.example.verdict.divergence else "fails here"


def _render_runs(one: ReportedCause, number: int) -> Iterator[str]:
    yield f'<details><summary>{escape_html(one.run_count_text)}</summary><div class="runs"><table><thead><tr>'
    yield "<th>workflow</th><th>type</th><th>status</th><th>waiting for</th><th>run key</th></tr></thead>"
    for run in one.runs[:_MOST_RUNS]:
        subject = run.subject
        cells = (format_run_name(run), subject.workflow_type, subject.status, subject.waits_for, subject.run_key)
        yield "<tr>" + "".join(f"<td>{escape_text(cell)}</td>" for cell in cells) + "</tr>"
    yield "</table></div>"
    if len(one.runs) > _MOST_RUNS:
        yield f"<p>… and {len(one.runs) - _MOST_RUNS:,} more; the JSON report lists all.</p>"
    yield f'<button type="button" class="only" value="{number}" hidden>Only these in the list below</button></details>'


def _render_repaired_runs(report: CheckReport) -> Iterator[str]:
    if repaired := report.repaired_runs():
        yield '<details class="cause repaired">'
        yield f"<summary>The change repairs {count_noun(len(repaired), 'run')}</summary><ul>"
        yield from (f"<li>{_render_run_name(one)}: {one.base} before</li>" for one in repaired[:_MOST_RUNS])
        yield "</ul></details>"


def _render_run_name(one: CheckedRun) -> str:
    return f"{escape_text(one.subject.workflow_type)} <code>{escape_text(format_run_name(one))}</code>"


def _render_hazards(report: CheckReport) -> Iterator[str]:
    found = sorted({(hazard.what, hazard.detail) for one in report.runs for hazard in one.verdict.hazards})
    if found:
        yield '<details class="cause warning"><summary>'
        yield "Hazards: side effects, clocks and randomness in workflow code</summary><ul>"
        yield from (f"<li><code>{escape_text(f'{what} {detail}')}</code></li>" for what, detail in found[:_MOST_RUNS])
        yield "</ul></details>"


def _render_unseen_parts(report: CheckReport) -> Iterator[str]:
    if unseen := list_uncompared_parts(report):
        yield '<details class="cause"><summary>Not compared, since the history does not hold it</summary><ul>'
        yield from (f"<li>{escape_html(one)}</li>" for one in unseen)
        yield "</ul></details>"
