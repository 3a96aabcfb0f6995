"""Recorded events read from JSON: a whole history in one call in C, or one event where the history holds an odd one.

An event type that is not in `RECORDS` is one that this engine does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Union, overload

import msgspec

from replaytool.engines.temporal.events.event_structs import (
    ActivityClosed,
    ActivityCompleted,
    ActivityScheduled,
    CancelAsked,
    ChildClosed,
    ChildInitiated,
    ChildStarted,
    Completed,
    Marker,
    NexusEvent,
    NexusScheduled,
    Nothing,
    OfInitiated,
    OfScheduled,
    Signaled,
    Started,
    Struct,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
    TimerFired,
    TimerStarted,
    UpdateAccepted,
    UpdateAdmitted,
    UpdateCompleted,
    Upserted,
)
from replaytool.model.history import Event

RECORDS: dict[str, type[Struct]] = {
    "WorkflowExecutionStarted": Started,
    "WorkflowExecutionCompleted": Completed,
    "WorkflowExecutionFailed": Nothing,
    "WorkflowExecutionTimedOut": Nothing,
    "WorkflowExecutionTerminated": Nothing,
    "WorkflowExecutionCanceled": Nothing,
    "WorkflowExecutionContinuedAsNew": Nothing,
    "WorkflowExecutionSignaled": Signaled,
    "WorkflowExecutionCancelRequested": CancelAsked,
    "WorkflowTaskScheduled": Nothing,
    "WorkflowTaskStarted": TaskStarted,
    "WorkflowTaskCompleted": TaskCompleted,
    "WorkflowTaskTimedOut": OfScheduled,
    "WorkflowTaskFailed": TaskFailed,
    "ActivityTaskScheduled": ActivityScheduled,
    "ActivityTaskStarted": OfScheduled,
    "ActivityTaskCompleted": ActivityCompleted,
    "ActivityTaskFailed": ActivityClosed,
    "ActivityTaskTimedOut": ActivityClosed,
    "ActivityTaskCancelRequested": OfScheduled,
    "ActivityTaskCanceled": ActivityClosed,
    "TimerStarted": TimerStarted,
    "TimerFired": TimerFired,
    "TimerCanceled": TimerFired,
    "MarkerRecorded": Marker,
    "StartChildWorkflowExecutionInitiated": ChildInitiated,
    "StartChildWorkflowExecutionFailed": ChildClosed,
    "ChildWorkflowExecutionStarted": ChildStarted,
    "ChildWorkflowExecutionCompleted": ChildClosed,
    "ChildWorkflowExecutionFailed": ChildClosed,
    "ChildWorkflowExecutionCanceled": ChildClosed,
    "ChildWorkflowExecutionTimedOut": ChildClosed,
    "ChildWorkflowExecutionTerminated": ChildClosed,
    "SignalExternalWorkflowExecutionInitiated": Nothing,
    "SignalExternalWorkflowExecutionFailed": ChildClosed,
    "ExternalWorkflowExecutionSignaled": OfInitiated,
    "RequestCancelExternalWorkflowExecutionInitiated": Nothing,
    "RequestCancelExternalWorkflowExecutionFailed": ChildClosed,
    "ExternalWorkflowExecutionCancelRequested": OfInitiated,
    "UpsertWorkflowSearchAttributes": Upserted,
    "WorkflowPropertiesModified": Nothing,
    "WorkflowPropertiesModifiedExternally": Nothing,
    "ActivityPropertiesModifiedExternally": Nothing,
    "WorkflowExecutionUpdateAdmitted": UpdateAdmitted,
    "WorkflowExecutionUpdateAccepted": UpdateAccepted,
    "WorkflowExecutionUpdateRejected": Nothing,
    "WorkflowExecutionUpdateCompleted": UpdateCompleted,
    "NexusOperationScheduled": NexusScheduled,
    "NexusOperationStarted": NexusEvent,
    "NexusOperationCompleted": NexusEvent,
    "NexusOperationFailed": NexusEvent,
    "NexusOperationCanceled": NexusEvent,
    "NexusOperationTimedOut": NexusEvent,
    "NexusOperationCancelRequested": OfScheduled,
    "NexusOperationCancelRequestCompleted": OfScheduled,
    "NexusOperationCancelRequestFailed": NexusEvent,
    "WorkflowExecutionOptionsUpdated": Nothing,
    "WorkflowExecutionPaused": Nothing,
    "WorkflowExecutionUnpaused": Nothing,
    "WorkflowExecutionTimeSkippingTransitioned": Nothing,
}


def _read_as(event_type: str, record: type[Struct]) -> Any:
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


_KINDS = {name: _read_as(name, record) for name, record in RECORDS.items()}
DECODERS: dict[str, Callable[[bytes], Any]] = {
    name: msgspec.json.Decoder(kind, strict=False).decode for name, kind in _KINDS.items()
}
_any_event: Any = Union[tuple(_KINDS.values())]  # noqa: UP007 - of as many as there are
_History: Any = msgspec.defstruct("_History", [("events", list[_any_event])], gc=False)
_decode = msgspec.json.Decoder(_History, strict=False).decode


class _Raws(msgspec.Struct):
    events: list[msgspec.Raw]


_split = msgspec.json.Decoder(_Raws).decode


class Read(Sequence[Event]):
    """Events with what was read of them, so that nobody reads them again; as events only where somebody asks."""

    def __init__(self, records: list[Any], split: Callable[[], Sequence[msgspec.Raw]]) -> None:
        self.records = records
        self._split = split

    @cached_property
    def raws(self) -> Sequence[msgspec.Raw]:
        """The text of each event; most replays never ask for it."""
        return self._split()

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Event]: ...
    def __getitem__(self, place: int | slice) -> Event | Sequence[Event]:
        if isinstance(place, slice):
            return Read(self.records[place], lambda: self.raws[place])
        head = self.records[place]
        return Event(head.event_id, head.event_type, head.event_time, None, bytes(self.raws[place]))


def extended(events: Sequence[Event], more: Sequence[Event]) -> Sequence[Event]:
    """Both, one behind the other; what was read of the first ones stays read."""
    added = b'{"events":[' + b",".join(event.raw for event in more) + b"]}"
    read = read_whole(added)
    if not isinstance(events, Read) or read is None:
        return [*events, *more]
    return Read([*events.records, *read], lambda: [*events.raws, *raws_of(added)])


def until(events: Sequence[Event], event_id: int) -> Sequence[Event]:
    """The events before this one."""
    known = heads(events)
    return events[: next((place for place, event in enumerate(known) if event.event_id >= event_id), len(known))]


def heads(events: Sequence[Event]) -> Sequence[Any]:
    """Events as far as their ids, types and times go."""
    return events.records if isinstance(events, Read) else events


def records_of(events: Sequence[Event]) -> list[Any]:
    """What is read of each event; None for each where some event cannot be read, and has to be found."""
    if isinstance(events, Read):
        return events.records
    whole = b'{"events":[' + b",".join(event.raw for event in events) + b"]}"
    return read_whole(whole) or [None] * len(events)


def raws_of(history: bytes) -> list[msgspec.Raw]:
    """The text of each event, unread."""
    return _split(history).events


def read_whole(history: bytes) -> list[Any] | None:
    """What is read of each event; None where one cannot be read."""
    try:
        found: list[Any] = _decode(history).events
    except (msgspec.MsgspecError, ValueError):
        return None
    return found
