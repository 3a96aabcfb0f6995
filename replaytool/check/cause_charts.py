"""Charts of example runs: the workflow tasks in order, and what the run waited for between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from replaytool.check.causes import find_causes
from replaytool.engines import engine_of
from replaytool.engines.base import RecordReader
from replaytool.model.history import Event
from replaytool.model.pending_work import TrackedWork, WorkRecord
from replaytool.model.run_chart import ChartEvent, ChartSpan, RunChart
from replaytool.model.verdict import Cause, CheckedRun, CheckReport
from replaytool.store import Store

_MOST_CHARTS = 50
"""Causes with a chart: people look at some of them, and never at hundreds."""
_MOST_SPANS = 40
_AROUND = 6
_MOST_NAMED = 1000


def causes_with_charts(store: Store, checked: Sequence[CheckedRun]) -> tuple[Cause, ...]:
    """Return the causes; the first of them have a chart of their example run."""
    verdicts = {one.subject.run_key: one.verdict for one in checked}
    causes = find_causes(checked)
    charted = (
        replace(one, timeline=_chart_example(store, one.example, verdicts[one.example].event_id))
        for one in causes[:_MOST_CHARTS]
    )
    return (*charted, *causes[_MOST_CHARTS:])


def causes_with_known_charts(checked: Sequence[CheckedRun], reports: Sequence[CheckReport]) -> tuple[Cause, ...]:
    """Return the causes; the first of them have the chart that one of the reports has of their example run."""
    known = {(cause.id, cause.example): cause.timeline for report in reports for cause in report.causes}
    causes = find_causes(checked)
    charted = (replace(one, timeline=known.get((one.id, one.example))) for one in causes[:_MOST_CHARTS])
    return (*charted, *causes[_MOST_CHARTS:])


def _chart_example(store: Store, run_key: str, around: int | None) -> RunChart:
    events = store.read_events(run_key)
    reader = engine_of(store.find_run(run_key).engine).record_reader()
    return replace(
        chart_run(events, reader.read_work(events), around), around=_list_events_around(reader, events, around)
    )


def _list_events_around(reader: RecordReader, events: Sequence[Event], around: int | None) -> tuple[ChartEvent, ...]:
    """Return the events near the finding, with names. Names of closing events come from up to _MOST_NAMED before."""
    center = events[-1].event_id if around is None and events else around or 0
    near = [one for one in events if center - _MOST_NAMED <= one.event_id <= center + _AROUND]
    named = [ChartEvent(one.event_id, one.event_type, name) for one, name, _ in reader.name_events(near)]
    return tuple(one for one in named if abs(one.event_id - center) <= _AROUND)


def chart_run(events: Sequence[Event], facts: WorkRecord, around: int | None = None) -> RunChart:
    """Return the chart; a long run shows the _MOST_SPANS spans nearest to the event `around`."""
    last = events[-1].event_id if events else 0
    spans = [_span_of_work(work) for work in (*facts.works, *facts.updates)]
    spans += [ChartSpan(one.kind, one.name, one.event_id, one.handled_by, "Received") for one in facts.received]
    center = last if around is None else around
    nearest = sorted(spans, key=lambda span: (_distance_to_event(span, center), span.opened))[:_MOST_SPANS]
    shown = tuple(sorted(nearest, key=lambda span: (span.opened, span.kind, span.name)))
    ran = tuple(task.closed for task in facts.tasks if task.closed is not None)
    return RunChart(last, ran, shown, len(spans) - len(shown))


def _distance_to_event(span: ChartSpan, center: int) -> int:
    if span.closed is not None and span.opened <= center <= span.closed:
        return 0
    return min(abs(span.opened - center), abs((span.closed or span.opened) - center))


def _span_of_work(work: TrackedWork) -> ChartSpan:
    last = work.views[-1]
    return ChartSpan(last.kind, last.name, work.opening_event_id, work.closed, last.status)
