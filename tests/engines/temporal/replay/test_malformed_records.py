"""A record that no server has written is `unverified`, and names the event. The code is not blamed for it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from replaytool.engines import read_history
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.model.history import encode_history
from tests.support.histories import events, run_of

Events = list[dict[str, Any]]


def _damage(kind: str, place: int, listed: Events) -> Events:
    """The events with one kind of damage at one place."""
    found = copy.deepcopy(listed)
    event = found[place]
    key = next(name for name in event if name.endswith("EventAttributes"))
    other = next(one for one in found if one["eventType"] != event["eventType"])
    other_key = next(name for name in other if name.endswith("EventAttributes"))
    changes: dict[str, Callable[[], object]] = {
        "without a type": lambda: event.pop("eventType"),
        "with a null as type": lambda: event.update(eventType=None),
        "with an empty type": lambda: event.update(eventType=""),
        "without type and attributes": lambda: (event.pop("eventType"), event.pop(key)),
        "of an unknown type": lambda: event.update(eventType="EVENT_TYPE_TEA_SERVED"),
        "of an unknown number": lambda: event.update(eventType=999),
        "of another type": lambda: event.update(eventType=other["eventType"]),
        "with attributes of another type": lambda: event.update({other_key: event.pop(key)}),
        "with attributes of two types": lambda: event.update({other_key: other[other_key]}),
        "without attributes": lambda: event.pop(key),
        "a second start": lambda: found.__setitem__(place, {**found[0], "eventId": event["eventId"]}),
        "an id that goes back": lambda: event.update(eventId=str(place)),
        "an id that skips": lambda: [one.update(eventId=str(int(one["eventId"]) + 1)) for one in found[place:]],
    }
    changes[kind]()
    return found


KINDS = (
    "without a type", "with a null as type", "with an empty type", "without type and attributes",
    "of an unknown type", "of an unknown number", "of another type", "with attributes of another type",
    "with attributes of two types", "without attributes", "a second start", "an id that goes back",
    "an id that skips",
)  # fmt: skip


def malformation(listed: Events) -> str:
    """What is wrong with the record, as a worker process receives it."""
    run = run_of(json.dumps({"events": listed}).encode())
    return RecordedHistory(read_history(replace(run, events=()), encode_history(run))).find_malformation()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_event_is_named(kind: str) -> None:
    listed = events("activities_in_sequence")
    assert malformation(listed) == ""
    for place in range(1, len(listed)):
        damaged = _damage(kind, place, listed)
        if damaged == listed or damaged[place]["eventId"] == "1":
            continue  # an event 1 begins another history
        # An id that goes back is found where the id is there for the second time.
        number = place if kind == "an id that goes back" else place + 2 if kind == "an id that skips" else place + 1
        found = malformation(damaged)
        assert found, (kind, place + 1)
        assert f"event {number}" in found, (kind, place + 1, found)


def test_an_event_that_a_worker_may_ignore_needs_no_type() -> None:
    listed = events("activities_in_sequence")
    listed[5] |= {"eventType": "EVENT_TYPE_TEA_SERVED", "workerMayIgnore": True}
    assert malformation(listed) == ""


def test_an_export_that_omits_all_types_is_whole() -> None:
    listed = events("activities_in_sequence")
    for event in listed:
        del event["eventType"]
    assert malformation(listed) == ""
