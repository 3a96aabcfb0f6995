"""A single HTML page that works offline: it loads nothing from the network and runs no script."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from importlib.resources import files

from replaytool.model.blast_radius import ImpactGroup
from replaytool.model.verdict import WORDS, CallSite, CheckedRun, CheckReport, Divergence
from replaytool.render.code_frame import path_in_repository, read_source_excerpt
from replaytool.render.report.guilty_edits import (
    format_headline,
    format_proof,
    list_diff_lines,
    list_guilty_edits,
    list_search_notes,
)
from replaytool.render.report.summary import (
    ReportedCause,
    format_run_name,
    list_reported_causes,
    list_side_lines,
    list_uncompared_parts,
    shorten_value,
)
from replaytool.render.run_chart import draw_svg
from replaytool.text import count_noun, cut_long_words, escape_controls

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MOST_RUNS = 200
_MOST_SHARES = 20
_DIFF = {"-": "history", "+": "code"}
_SIDES = {"-": "history", "+": "code", " ": "same", "!": "wrong"}


def render(report: CheckReport) -> str:
    """Return the page."""
    style = files("replaytool.render.report").joinpath("report.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>replaytool: {escape(report.blast_radius_sentence())}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>\n<main>",
            *_render_head(report),
            *_render_guilty(report),
            *(
                line
                for number, one in enumerate(list_reported_causes(report))
                for line in _render_cause(one, opened=number < 3)
            ),
            *_render_repaired_runs(report),
            *_render_hazards(report),
            *_render_unseen_parts(report),
            "</main>\n</body>\n</html>\n",
        ]
    )


def escape_text(value: str) -> str:
    """Escape untrusted text: show control characters, and make nothing markup."""
    return escape(escape_controls(value))


def escape(value: str) -> str:
    """Escape text for HTML. Cut its long words first: a cut escape would be markup."""
    return html.escape(cut_long_words(value))


def _render_head(report: CheckReport) -> Iterator[str]:
    radius, counts = report.count_blast_radius(), report.count_verdicts()
    state = "bad" if any(report.is_failing(one) for one in report.runs) else "good"
    yield f'<header class="{state}"><h1>{escape(report.blast_radius_sentence())}</h1>'
    cut = " · interrupted: this report is incomplete" if not report.complete else ""
    modules = ", ".join(escape_text(module) for module in report.code.modules[:10]) or "no code"
    yield f"<p>{modules} · {count_noun(counts['events'], 'event')} · {report.seconds:.1f} s{cut}</p></header>"
    if report.base is not None:
        trouble = f"; its code could not be replayed: {escape_text(report.base.trouble)}" if report.base.trouble else ""
        at = f"<code>{escape_text(report.base.ref)}</code> at <code>{escape_text(report.base.commit[:12])}</code>"
        yield f'<p class="place">compared with {at}{trouble}</p>'
    yield '<ul class="counts">'
    yield from (f'<li class="{word}"><b>{counts[word]:,}</b> {word}</li>' for word in WORDS if counts[word])
    yield "</ul>"
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
        yield f"{escape(format_headline(found))}</summary>"
        yield '<div class="sides">'
        for line in list_diff_lines(found):
            yield f'<pre class="{_DIFF.get(line[:1], "same")}">{escape(line)}</pre>'
        yield f'</div><p class="advice">{escape(format_proof(found))}</p></details>'
    if report.guilty is not None:
        yield from (f'<p class="place">{escape(line)}</p>' for line in list_search_notes(report.guilty))


def _render_cause(one: ReportedCause, *, opened: bool) -> Iterator[str]:
    verdict = one.example.verdict
    yield f'<details class="cause {one.level}"{" open" if opened else ""}><summary>'
    yield f'<span class="word">{one.cause.verdict}</span> {escape_text(one.cause.message)}'
    yield f" <i>{escape(one.run_count_text)}</i></summary>"
    site = one.cause.call_site
    if site is not None:
        yield f'<p class="place">{_render_call_site(site)}</p>'
        yield from _render_code(read_source_excerpt(site))
        yield from (f'<p class="place">awaited at {_render_call_site(up)}</p>' for up in site.chain)
    yield '<div class="sides">'
    lines = list(list_side_lines(one.example)) or [(" ", escape_controls(verdict.reason))]
    yield from (f'<pre class="{_SIDES[mark]}">{mark} {escape(line)}</pre>' for mark, line in lines)
    yield "</div>"
    if verdict.divergence is not None:
        yield from _render_field_table(verdict.divergence)
        if verdict.divergence.advice:
            yield f'<p class="advice">{escape_text(verdict.divergence.advice)}</p>'
    if verdict.failure is not None and verdict.failure.advice:
        yield f'<p class="advice">{escape_text(verdict.failure.advice)}</p>'
    if one.cause.timeline is not None:
        chart = draw_svg(one.cause.timeline, *_describe_mark(one))
        yield f"<figure>{chart}<figcaption>{_render_caption(one)}</figcaption></figure>"
    yield f'<p class="place">Debug: <code>{escape_text(one.debug_command)}</code></p>'
    yield from _render_runs(one)
    yield "</details>"


def _render_call_site(site: CallSite) -> str:
    place = f"{path_in_repository(site.file)}:{site.line}"
    return f"<code>{escape_text(place)}</code> in <code>{escape_text(site.function)}</code>"


def _render_code(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        marked = [f"<mark>{escape(line)}</mark>" if " > " in line[:9] else escape(line) for line in lines[1:-1]]
        yield '<pre class="code">' + "\n".join(marked) + "</pre>"


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


def _render_runs(one: ReportedCause) -> Iterator[str]:
    yield f"<details><summary>{escape(one.run_count_text)}</summary><table><thead><tr><th>workflow</th><th>type</th>"
    yield "<th>status</th><th>waiting for</th><th>run key</th></tr></thead>"
    for run in one.runs[:_MOST_RUNS]:
        subject = run.subject
        cells = (format_run_name(run), subject.workflow_type, subject.status, subject.waits_for, subject.run_key)
        yield "<tr>" + "".join(f"<td>{escape_text(cell)}</td>" for cell in cells) + "</tr>"
    yield "</table>"
    if len(one.runs) > _MOST_RUNS:
        yield f"<p>… and {len(one.runs) - _MOST_RUNS:,} more; the JSON report lists all.</p>"
    yield "</details>"


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
        yield from (f"<li>{escape(one)}</li>" for one in unseen)
        yield "</ul></details>"
