"""An SVG chart of a run: one bar per activity, timer and so on, from event to event, and the mismatch."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from replaytool.model.run_chart import ChartSpan, RunChart
from replaytool.text import cut_long_words, escape_controls, shorten_text

_LABELS = 210
_WIDTH = 900
_LANE = 22
_TOP = 26
_LONGEST_LABEL = 30
_KINDS = {"activity", "timer", "child", "nexus", "signal", "update"}
_GOOD = {"Completed", "Fired", "Delivered", "Received"}


def draw_svg(timeline: RunChart, event_id: int | None, what: str = "") -> str:
    """Return the chart as SVG for a page whose style sheet knows its classes."""
    height = _TOP + _LANE * max(len(timeline.spans), 1) + 24
    lines = [
        f'<svg class="timeline" viewBox="0 0 {_LABELS + _WIDTH + 20} {height}" role="img">',
        f"<title>{timeline.events} events, {len(timeline.tasks)} workflow tasks</title>",
    ]
    for number, span in enumerate(timeline.spans):
        lines += _draw_span(timeline, span, _TOP + _LANE * number)
    lines += _draw_axis(timeline, height)
    if event_id is not None:
        lines += _draw_mark(timeline, event_id, what, height)
    return "\n".join([*lines, "</svg>"])


def _x_position(timeline: RunChart, event_id: float) -> float:
    share = (min(event_id, timeline.events + 1) - 1) / max(timeline.events, 1)
    return round(_LABELS + share * _WIDTH, 1)


def _draw_axis(timeline: RunChart, height: int) -> Iterator[str]:
    """Draw a thin line at every workflow task, and some event numbers."""
    for task in timeline.tasks:
        x = _x_position(timeline, task)
        yield f'<line class="task" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height - 20}"/>'
    step = max(1, -(-timeline.events // 12))
    for event_id in range(1, timeline.events + 1, step):
        yield f'<text class="axis" x="{_x_position(timeline, event_id)}" y="{height - 6}">{event_id}</text>'


def _draw_span(timeline: RunChart, span: ChartSpan, y: int) -> Iterator[str]:
    begin = _x_position(timeline, span.opened)
    end = _x_position(timeline, span.closed if span.closed is not None else timeline.events + 1)
    kind = span.kind if span.kind in _KINDS else "other"
    outcome = "open" if span.closed is None else "good" if span.outcome in _GOOD else "bad"
    label = cut_long_words(escape_controls(f"{span.kind} {span.name}".strip()))
    until = f"to {span.closed}" if span.closed is not None else "and still open"
    told = f"{label}: event {span.opened} {until}, {span.outcome}"
    yield f"<g><title>{escape(told)}</title>"
    yield f'<text class="label" x="{_LABELS - 12}" y="{y + 14}">{escape(shorten_text(label, _LONGEST_LABEL))}</text>'
    yield f'<rect class="lane" x="{_LABELS}" width="{_WIDTH}" y="{y + 1}" height="{_LANE - 3}"/>'
    yield (
        f'<rect class="span {kind} {outcome}" x="{begin}" width="{max(round(end - begin, 1), 6)}" '
        f'y="{y + 4}" height="{_LANE - 9}" rx="3"/></g>'
    )


def _draw_mark(timeline: RunChart, event_id: int, what: str, height: int) -> Iterator[str]:
    x = _x_position(timeline, event_id)
    anchor = "end" if x > _LABELS + _WIDTH / 2 else "start"
    beside = x - 6 if anchor == "end" else x + 6
    yield f'<line class="mark" x1="{x}" x2="{x}" y1="4" y2="{height - 20}"/>'
    yield f'<text class="mark" x="{beside}" y="14" text-anchor="{anchor}">{escape(f"event {event_id}: {what}")}</text>'
