"""Make the chart of a run: its workflow tasks in order, and what it waited for between them."""

from __future__ import annotations

from collections.abc import Sequence

from replaytool.engines.temporal.events.pending_work import read_pending_work
from replaytool.model.history import Event
from replaytool.model.pending_work import TrackedWork
from replaytool.model.run_chart import ChartSpan, RunChart

_MOST_SPANS = 40


def chart_run(events: Sequence[Event], around: int | None = None) -> RunChart:
    """Return the chart; a long run shows the _MOST_SPANS spans nearest to the event `around`."""
    told = read_pending_work(events)
    last = events[-1].event_id if events else 0
    spans = [_span_of_work(work) for work in (*told.works, *told.updates)]
    spans += [ChartSpan(one.kind, one.name, one.event_id, one.handled_by, "Received") for one in told.received]
    center = last if around is None else around
    nearest = sorted(spans, key=lambda span: (_distance_to_event(span, center), span.opened))[:_MOST_SPANS]
    shown = tuple(sorted(nearest, key=lambda span: (span.opened, span.kind, span.name)))
    ran = tuple(task.closed for task in told.tasks if task.closed is not None)

    return RunChart(last, ran, shown, len(spans) - len(shown))


def _distance_to_event(span: ChartSpan, center: int) -> int:
    if span.closed is not None and span.opened <= center <= span.closed:
        return 0
    return min(abs(span.opened - center), abs((span.closed or span.opened) - center))


def _span_of_work(work: TrackedWork) -> ChartSpan:
    last = work.views[-1]
    return ChartSpan(last.kind, last.name, work.opening_event_id, work.closed, last.status)
