"""A run that sleeps once and returns, as a server would have recorded it."""

from __future__ import annotations

import json

from benchmarks.replayable_histories import _payloads, _Writer


def history(argument: int) -> bytes:
    """The run of a workflow `Sleeper` that was started with this argument."""
    writer = _Writer(1)
    start = next(writer.run("Steps", argument))
    start["workflowExecutionStartedEventAttributes"]["workflowType"] = {"name": "Sleeper"}
    events = [start, *writer.task()]
    completed = str(writer.last)
    events.append(
        writer.event("TIMER_STARTED", timerId="1", startToFireTimeout="1s", workflowTaskCompletedEventId=completed)
    )
    events.append(writer.event("TIMER_FIRED", timerId="1", startedEventId=str(writer.last)))
    events += [*writer.task(), writer.done(7)]
    assert _payloads(7) == events[-1]["workflowExecutionCompletedEventAttributes"]["result"]
    return json.dumps({"events": events}).encode()
