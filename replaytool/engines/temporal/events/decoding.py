"""Decode recorded events from JSON: a whole history in one call in C, or event by event where one is malformed.

An event type without a row in `RECORDS` is unknown to this engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, Union, overload

import msgspec

from replaytool.engines.temporal.events.event_structs import (
    ActivityClosed,
    ActivityCompleted,
    ActivityScheduled,
    CancelRequested,
    ChildClosed,
    ChildInitiated,
    ChildStarted,
    EventPart,
    InitiatedReference,
    MarkerRecorded,
    NexusEvent,
    NexusScheduled,
    NoAttributes,
    ScheduledReference,
    SearchAttributesUpserted,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
    TimerFired,
    TimerStarted,
    UpdateAccepted,
    UpdateAdmitted,
    UpdateCompleted,
    WorkflowCompleted,
    WorkflowSignaled,
    WorkflowStarted,
)
from replaytool.model.history import Event, EventHead

RECORDS: dict[str, type[EventPart]] = {
    "WorkflowExecutionStarted": WorkflowStarted,
    "WorkflowExecutionCompleted": WorkflowCompleted,
    "WorkflowExecutionFailed": NoAttributes,
    "WorkflowExecutionTimedOut": NoAttributes,
    "WorkflowExecutionTerminated": NoAttributes,
    "WorkflowExecutionCanceled": NoAttributes,
    "WorkflowExecutionContinuedAsNew": NoAttributes,
    "WorkflowExecutionSignaled": WorkflowSignaled,
    "WorkflowExecutionCancelRequested": CancelRequested,
    "WorkflowTaskScheduled": NoAttributes,
    "WorkflowTaskStarted": TaskStarted,
    "WorkflowTaskCompleted": TaskCompleted,
    "WorkflowTaskTimedOut": ScheduledReference,
    "WorkflowTaskFailed": TaskFailed,
    "ActivityTaskScheduled": ActivityScheduled,
    "ActivityTaskStarted": ScheduledReference,
    "ActivityTaskCompleted": ActivityCompleted,
    "ActivityTaskFailed": ActivityClosed,
    "ActivityTaskTimedOut": ActivityClosed,
    "ActivityTaskCancelRequested": ScheduledReference,
    "ActivityTaskCanceled": ActivityClosed,
    "TimerStarted": TimerStarted,
    "TimerFired": TimerFired,
    "TimerCanceled": TimerFired,
    "MarkerRecorded": MarkerRecorded,
    "StartChildWorkflowExecutionInitiated": ChildInitiated,
    "StartChildWorkflowExecutionFailed": ChildClosed,
    "ChildWorkflowExecutionStarted": ChildStarted,
    "ChildWorkflowExecutionCompleted": ChildClosed,
    "ChildWorkflowExecutionFailed": ChildClosed,
    "ChildWorkflowExecutionCanceled": ChildClosed,
    "ChildWorkflowExecutionTimedOut": ChildClosed,
    "ChildWorkflowExecutionTerminated": ChildClosed,
    "SignalExternalWorkflowExecutionInitiated": NoAttributes,
    "SignalExternalWorkflowExecutionFailed": ChildClosed,
    "ExternalWorkflowExecutionSignaled": InitiatedReference,
    "RequestCancelExternalWorkflowExecutionInitiated": NoAttributes,
    "RequestCancelExternalWorkflowExecutionFailed": ChildClosed,
    "ExternalWorkflowExecutionCancelRequested": InitiatedReference,
    "UpsertWorkflowSearchAttributes": SearchAttributesUpserted,
    "WorkflowPropertiesModified": NoAttributes,
    "WorkflowPropertiesModifiedExternally": NoAttributes,
    "ActivityPropertiesModifiedExternally": NoAttributes,
    "WorkflowExecutionUpdateAdmitted": UpdateAdmitted,
    "WorkflowExecutionUpdateAccepted": UpdateAccepted,
    # In the protocol, but never written: a rejected update leaves no event, and its task's IDs are used again.
    "WorkflowExecutionUpdateRejected": NoAttributes,
    "WorkflowExecutionUpdateCompleted": UpdateCompleted,
    "NexusOperationScheduled": NexusScheduled,
    "NexusOperationStarted": NexusEvent,
    "NexusOperationCompleted": NexusEvent,
    "NexusOperationFailed": NexusEvent,
    "NexusOperationCanceled": NexusEvent,
    "NexusOperationTimedOut": NexusEvent,
    "NexusOperationCancelRequested": ScheduledReference,
    "NexusOperationCancelRequestCompleted": ScheduledReference,
    "NexusOperationCancelRequestFailed": NexusEvent,
    "WorkflowExecutionOptionsUpdated": NoAttributes,
    "WorkflowExecutionPaused": NoAttributes,
    "WorkflowExecutionUnpaused": NoAttributes,
    "WorkflowExecutionTimeSkippingTransitioned": NoAttributes,
}


def _build_event_struct(event_type: str, record: type[EventPart]) -> type[Any]:
    key = event_type[0].lower() + event_type[1:] + "EventAttributes"
    fields: list[tuple[str, Any, Any]] = [
        ("event_id", int, 0),
        ("event_time", str | None, None),
        ("attributes", record | None, None),
        ("worker_may_ignore", bool, False),
    ]
    names = {
        "event_id": "eventId",
        "event_time": "eventTime",
        "attributes": key,
        "worker_may_ignore": "workerMayIgnore",
    }
    tag = "EVENT_TYPE" + re.sub("([A-Z])", r"_\1", event_type).upper()
    return msgspec.defstruct(
        f"{event_type}Event", fields, rename=names, tag=tag, tag_field="eventType", gc=False,
        namespace={"event_type": event_type},
    )  # fmt: skip


_KINDS = {name: _build_event_struct(name, record) for name, record in RECORDS.items()}
DECODERS: dict[str, Callable[[bytes], EventRecord]] = {
    # Not strict: proto JSON writes int64 as text ("eventId": "12"), and some exporters write a number.
    name: msgspec.json.Decoder(kind, strict=False).decode
    for name, kind in _KINDS.items()
}
# A tagged union: msgspec picks the struct by `eventType` in C, so that a whole history costs one call.
_any_event: Any = Union[tuple(_KINDS.values())]  # noqa: UP007 - of as many as there are
_History: Any = msgspec.defstruct("_History", [("events", list[_any_event])], gc=False)
_decode = msgspec.json.Decoder(_History, strict=False).decode


class EventRecord(EventHead, Protocol):
    """A decoded event. Its type in `RECORDS` is the type of its attributes."""

    @property
    def attributes(self) -> Any:
        """A struct of `event_structs`, or None if the event has no attributes."""
        ...

    @property
    def worker_may_ignore(self) -> bool:
        """Whether a worker that does not know the event may skip it."""
        ...


class _RawEvents(msgspec.Struct):
    events: list[msgspec.Raw]


_split = msgspec.json.Decoder(_RawEvents).decode


class DecodedEvents(Sequence[Event]):
    """Events with their decoded records, so that nothing decodes them twice. An `Event` is built only on access."""

    def __init__(self, records: list[EventRecord], split: Callable[[], Sequence[msgspec.Raw]]) -> None:
        self.records = records
        self._split = split

    @cached_property
    def raw_events(self) -> Sequence[msgspec.Raw]:
        """The JSON of each event, split on first use: most replays never need it."""
        return self._split()

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Event]: ...
    def __getitem__(self, place: int | slice) -> Event | Sequence[Event]:
        if isinstance(place, slice):
            return DecodedEvents(self.records[place], lambda: self.raw_events[place])
        head = self.records[place]
        return Event(head.event_id, head.event_type, head.event_time, None, bytes(self.raw_events[place]))


def append_events(events: Sequence[Event], more: Sequence[Event]) -> Sequence[Event]:
    """Return both sequences as one; what is decoded of the first stays decoded."""
    added = b'{"events":[' + b",".join(event.raw for event in more) + b"]}"
    read = decode_history(added)
    if not isinstance(events, DecodedEvents) or read is None:
        return [*events, *more]
    return DecodedEvents([*events.records, *read], lambda: [*events.raw_events, *split_raw_events(added)])


def take_events_before(events: Sequence[Event], event_id: int) -> Sequence[Event]:
    """Return the events before this event ID."""
    known = event_heads(events)
    return events[: next((place for place, event in enumerate(known) if event.event_id >= event_id), len(known))]


def event_heads(events: Sequence[Event]) -> Sequence[EventHead]:
    """Return events that have at least an ID, a type and a time."""
    return events.records if isinstance(events, DecodedEvents) else events


def select_events(events: Sequence[Event], is_wanted: Callable[[str], bool]) -> Iterator[Event]:
    """Yield the events of wanted types. No other event is built."""
    return (events[place] for place, head in enumerate(event_heads(events)) if is_wanted(head.event_type))


def decode_events(events: Sequence[Event]) -> list[Any]:
    """Return the decoded record of each event.

    All are None if one of them cannot be decoded: then decode them one by one.
    """
    if isinstance(events, DecodedEvents):
        return events.records
    whole = b'{"events":[' + b",".join(event.raw for event in events) + b"]}"
    return decode_history(whole) or [None] * len(events)


def split_raw_events(history: bytes) -> list[msgspec.Raw]:
    """Split a history into the JSON of its events."""
    return _split(history).events


def decode_history(history: bytes) -> list[EventRecord] | None:
    """Decode each event of a history. Return None if one of them cannot be decoded."""
    try:
        found: list[EventRecord] = _decode(history).events
    # One malformed event fails the whole call. The caller then decodes event by event, to name it.
    except (msgspec.MsgspecError, ValueError):
        return None
    return found
