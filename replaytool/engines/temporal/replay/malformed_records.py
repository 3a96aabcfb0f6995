"""Find what no server has written: events without a type, of two types, out of order, or behind the end of a run.

The SDK's replayer calls such a history invalid, reports a fatal error, or hangs. The code is not to blame for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
from temporalio.api.enums.v1 import EventType

from replaytool.engines.temporal.events.decoding import RECORDS, DecodedEvents, event_heads
from replaytool.engines.temporal.replay.command_kinds import CLOSING
from replaytool.model.history import Event, EventHead

_STARTED = "WorkflowExecutionStarted"
_AFTER_TASK_STARTED = {
    "WorkflowTaskCompleted",
    "WorkflowTaskFailed",
    "WorkflowTaskTimedOut",
    "WorkflowExecutionTerminated",
    "WorkflowExecutionTimedOut",
}
_ENDS_OR_STARTS_TASK = CLOSING | {"WorkflowTaskStarted"}
_NO_TYPE = {"", "Unspecified"}
_SUFFIX = "EventAttributes"
_attributes_of = attrgetter("attributes")
_known_to_sdk = {name.removeprefix("EVENT_TYPE_").replace("_", "").lower() for name, _ in EventType.items()}


def describe_malformation(events: Sequence[Event]) -> str:
    """Return what is wrong with the first event that no server has written so, or ""."""
    heads = event_heads(events)
    if not heads or heads[0].event_type != _STARTED:
        return "the history does not begin with WorkflowExecutionStarted"
    if len(heads) == 1:
        return "the history has one event only: no workflow task was ever scheduled"
    return _find_odd_event(events) or _find_odd_order(heads)


def _find_odd_event(events: Sequence[Event]) -> str:
    # The decoder reads the attributes of the event's own type only. One pass in C covers the usual case.
    if isinstance(events, DecodedEvents) and all(map(_attributes_of, events.records)):
        return ""
    return next(filter(None, map(_describe_odd_event, events)), "")


def _describe_odd_event(event: Event) -> str:
    """Return why this event has no meaning, or "". A worker may skip an event that says so."""
    whole: dict[str, Any] = msgspec.json.decode(event.raw)
    kind, place = event.event_type, f"event {event.event_id}"
    if whole.get("workerMayIgnore") is True:
        return ""
    if kind in _NO_TYPE:
        return f"{place} has no type"
    if kind not in RECORDS:
        # The SDK's replayer judges a type that only a newer SDK knows.
        is_newer = kind.replace("_", "").lower() in _known_to_sdk
        return "" if is_newer else f"{place} has a type that the installed SDK does not know: {kind}"
    held = [key.removesuffix(_SUFFIX) for key, value in whole.items() if key.endswith(_SUFFIX) and value is not None]
    names = [name[:1].upper() + name[1:] for name in held]
    if names == [kind]:
        return ""
    if not names:
        return f"{place}, {kind}, has no attributes"
    return f"{place}, {kind}, has the attributes of {' and '.join(names)}"


def _find_odd_order(heads: Sequence[EventHead]) -> str:
    ids, types = [event.event_id for event in heads], [event.event_type for event in heads]
    if ids != list(range(1, len(ids) + 1)):
        before, event_id = next((one, two) for one, two in zip([0, *ids], ids, strict=False) if two != one + 1)
        return _describe_wrong_id(before, event_id)
    for event_id, (before_type, kind) in enumerate(itertools.pairwise(types), 2):
        if before_type in _ENDS_OR_STARTS_TASK:
            if before_type in CLOSING:
                return f"event {event_id} comes after the end of the run, {before_type}"
            if kind not in _AFTER_TASK_STARTED:
                return f"event {event_id}, {kind}, cannot follow WorkflowTaskStarted"
    if types.count(_STARTED) > 1:
        return f"event {types.index(_STARTED, 1) + 1} starts the run a second time"
    return ""


def _describe_wrong_id(before: int, event_id: int) -> str:
    if event_id == before:
        return f"event {event_id} is there twice"
    if event_id < before:
        return f"event {event_id} comes after event {before}"
    if not before:
        return f"the history begins with event {event_id}: events are missing before it"
    return f"event {event_id} follows event {before}: events are missing between them"
