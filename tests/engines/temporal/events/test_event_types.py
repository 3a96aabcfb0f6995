"""The role of each event type, and the values that events carry."""

from __future__ import annotations

import pytest

from replaytool.engines.temporal.events.event_types import classify_event
from replaytool.engines.temporal.events.event_value import read_carried_values
from replaytool.model.event_role import EventRole


@pytest.mark.parametrize(
    ("event_type", "role"),
    [
        ("WorkflowExecutionStarted", EventRole("start")),
        ("WorkflowTaskStarted", EventRole("task")),
        ("WorkflowTaskCompleted", EventRole("step")),
        ("WorkflowTaskFailed", EventRole("step", failed=True)),
        ("ActivityTaskStarted", EventRole("attempt")),
        ("TimerStarted", EventRole("request")),
        ("TimerFired", EventRole("answer")),
        ("WorkflowExecutionSignaled", EventRole("received")),
        ("MarkerRecorded", EventRole("marker")),
        ("ATypeOfTomorrowCompleted", EventRole("answer")),
        ("ATypeOfTomorrow", EventRole("other")),
    ],
)
def test_each_event_type_has_a_role(event_type: str, role: EventRole) -> None:
    assert classify_event(event_type) == role


@pytest.mark.parametrize(
    ("attributes", "carried"),
    [
        ({"input": {"payloads": [1, "two"]}}, [1, "two"]),
        ({"result": [None]}, [None]),
        ({"failure": {"message": "outer", "cause": {"message": "inner"}}}, "outer: inner"),
        ({"startToFireTimeout": "5s"}, "5s"),
        ({"acceptedRequest": {"input": {"args": {"payloads": ["yes"]}}}}, ["yes"]),
        ({"outcome": {"success": {"payloads": [3]}}}, [3]),
        ({"scheduledEventId": "5"}, []),
    ],
)
def test_carried_values(attributes: dict[str, object], carried: object) -> None:
    assert read_carried_values(attributes) == carried
