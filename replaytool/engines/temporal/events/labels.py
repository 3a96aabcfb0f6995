"""What an event did, in a user's words: the same for two runs that did the same, whatever their ids and times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from replaytool.engines.temporal.events.payloads import Decoder
from replaytool.model.history import Event

_BOOKKEEPING = {
    "WorkflowTaskScheduled",
    "WorkflowTaskStarted",
    "WorkflowTaskCompleted",
    "ActivityTaskStarted",
}
# What differs between any two runs and says nothing about what they did.
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


@dataclass(frozen=True, slots=True)
class Deed:
    """One event: what kind, what it was called, and what it said."""

    event_id: int
    kind: str
    name: str
    content: Any

    @property
    def label(self) -> tuple[str, str]:
        """What makes two deeds the same."""
        return (self.kind, self.name)


def attributes(event: Mapping[str, Any]) -> dict[str, Any]:
    """What is particular to the event, wherever its type keeps it."""
    for key, value in event.items():
        if key.endswith("EventAttributes") and isinstance(value, dict):
            return value
    return {}


def name_of(kind: str, found: Mapping[str, Any]) -> str:
    """What the user calls the thing that this event is about."""
    if kind == "MarkerRecorded":
        return str(found.get("markerName", ""))
    for path in _NAME_PATHS:
        value: Any = found
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return ""


def named(events: Iterable[Event]) -> Iterator[tuple[Event, str, dict[str, Any]]]:
    """Each event with its name and its attributes; what closes something is named after what it closes."""
    opened: dict[int, str] = {}
    for event in events:
        found = attributes(msgspec.json.decode(event.raw))
        name = name_of(event.event_type, found)
        for key in _OPENERS:
            name = opened.get(_number(found.get(key)), "") or name
        opened[event.event_id] = name
        yield event, name, found


def deeds(events: Iterable[Event], decoder: Decoder) -> list[Deed]:
    """What a run did, without the bookkeeping of tasks."""
    return [
        Deed(event.event_id, event.event_type, name, _lasting(decoder.readable(found)))
        for event, name, found in named(events)
        if event.event_type not in _BOOKKEEPING
    ]


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_lasting(item) for item in value]
    return value


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
