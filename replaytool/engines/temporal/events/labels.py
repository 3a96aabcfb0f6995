"""Label events so that two runs that did the same have the same labels, whatever their IDs and times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from replaytool.engines.base import ValueDecoder
from replaytool.engines.temporal.events.event_types import BOOKKEEPING, MARKER
from replaytool.model.event_label import EventLabel
from replaytool.model.history import Event

Attributes = Mapping[str, Any]
"""The attributes of an event: JSON whose keys its type decides."""
# Attributes that differ between any two runs, whatever these do.
_VOLATILE = {
    "identity", "requestId", "originalExecutionRunId", "firstExecutionRunId", "workflowTaskCompletedEventId",
    "scheduledEventId", "startedEventId", "initiatedEventId", "acceptedEventId", "workerVersion", "runId",
    "binaryChecksum", "continuedExecutionRunId", "newExecutionRunId", "stackTrace", "workflowExecutionExpirationTime",
    "acceptedRequestMessageId", "acceptedRequestSequencingEventId", "eagerWorkerDeploymentOptions", "sdkMetadata",
    "meteringMetadata", "historySizeBytes", "protocolInstanceId", "cancelRequestedEventId", "originatingEventId",
}  # fmt: skip
_OPENERS = ("scheduledEventId", "startedEventId", "initiatedEventId", "acceptedEventId")
_NAME_PATHS = (
    ("activityType", "name"),
    ("signalName",),
    ("markerName",),
    ("timerId",),
    ("acceptedRequest", "input", "name"),
    ("operation",),
    ("cause",),
    ("workflowType", "name"),
    ("activityId",),
    ("updateName",),
)


def event_attributes(event: Attributes) -> dict[str, Any]:
    """Return the event's attributes, whatever key its type keeps them under."""
    for key, value in event.items():
        if key.endswith("EventAttributes") and isinstance(value, dict):
            return value
    return {}


def split_attributes(event: Attributes) -> tuple[Attributes, Attributes]:
    """Return the event's attributes, and the fields that every event has."""
    return event_attributes(event), {key: value for key, value in event.items() if not key.endswith("EventAttributes")}


def decode_attributes(event: Event) -> dict[str, Any]:
    """Return the attributes of a stored event."""
    return event_attributes(msgspec.json.decode(event.raw))


def find_update_request(found: Attributes) -> Attributes:
    """Return the request of an admitted or accepted update."""
    request: Attributes = found.get("request") or found.get("acceptedRequest") or {}
    return request


def name_event(kind: str, found: Attributes) -> str:
    """Return the user's name for what this event is about: an activity type, a signal name, a timer ID."""
    if kind == MARKER:
        return str(found.get("markerName", ""))
    for path in _NAME_PATHS:
        value: object = found
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return ""


def name_events(events: Iterable[Event]) -> Iterator[tuple[Event, str, dict[str, Any]]]:
    """Yield each event with its name and attributes. An event that closes something has the name of what it closes."""
    opened: dict[int, str] = {}
    for event in events:
        found = decode_attributes(event)
        name = name_event(event.event_type, found)
        for key in _OPENERS:
            name = opened.get(parse_event_id(found.get(key)), "") or name
        opened[event.event_id] = name
        yield event, name, found


def label_events(events: Iterable[Event], decoder: ValueDecoder) -> list[EventLabel]:
    """Return the label of each event, without the bookkeeping of workflow tasks."""
    return [
        EventLabel(event.event_id, event.event_type, name, _drop_volatile_keys(decoder.make_readable(found)))
        for event, name, found in name_events(events)
        if event.event_type not in BOOKKEEPING
    ]


def _drop_volatile_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: _drop_volatile_keys(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_drop_volatile_keys(item) for item in value]
    return value


def parse_event_id(value: object) -> int:
    """Return an event ID from JSON, where it may be text, a number, or missing."""
    try:
        return int(str(value))
    except ValueError:
        return 0
