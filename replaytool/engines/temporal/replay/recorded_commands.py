"""A recorded history as a replay needs it: which events record a command, how it began, and how far it got."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any

import msgspec

from replaytool.engines.temporal.events.decoding import DecodedEvents, decode_history, event_heads, split_raw_events
from replaytool.engines.temporal.events.labels import event_attributes
from replaytool.engines.temporal.events.payloads import payload_from_json
from replaytool.engines.temporal.replay.command_fields import parse_duration
from replaytool.engines.temporal.replay.command_kinds import BY_EVENT, CLOSING, read_recorded_fields
from replaytool.model.history import Event, Run
from replaytool.model.verdict import Expected

_TASK_ENDS = {"WorkflowTaskCompleted", "WorkflowTaskFailed", "WorkflowTaskTimedOut"}
_AFTER_STARTED = _TASK_ENDS | {"WorkflowExecutionTerminated", "WorkflowExecutionTimedOut"}
_RESET = "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
_PATCH, _LOCAL = "core_patch", "core_local_activity"
SEARCH_ATTRIBUTE_OF_PATCHES = "TemporalChangeVersion"


class _Head(msgspec.Struct):
    eventId: str | int = 0
    eventType: str = ""
    eventTime: str | None = None


def to_bytes(run: Run) -> bytes:
    """The whole history as JSON, put together from the events without parsing any."""
    return b'{"events":[' + b",".join(event.raw for event in run.events) + b"]}"


def from_bytes(run: Run, history: bytes) -> Run:
    """The run with its events back in it."""
    records = decode_history(history)
    if records is None:
        return replace(run, events=[_event(bytes(raw)) for raw in split_raw_events(history)])
    return replace(run, events=DecodedEvents(records, partial(split_raw_events, history)))


_head = msgspec.json.Decoder(_Head)


def _event(raw: bytes) -> Event:
    head = _head.decode(raw)
    return Event(int(head.eventId), _pascal(head.eventType), head.eventTime, None, raw)


@cache
def _pascal(name: str) -> str:
    return "".join(word.title() for word in name.removeprefix("EVENT_TYPE_").split("_"))


@dataclass(frozen=True)
class Record:
    """One run's history."""

    run: Run

    @property
    def events(self) -> list[Event]:
        """In the order of their ids."""
        return list(self.run.events)

    @cached_property
    def by_id(self) -> dict[int, Event]:
        """The events by their ids."""
        return {event.event_id: event for event in self.run.events}

    def attributes_of(self, event_id: Any) -> dict[str, Any]:
        """What is particular to an event; empty where there is none with this id."""
        event = self.by_id.get(_number(event_id))
        return event_attributes(msgspec.json.decode(event.raw)) if event else {}

    @cached_property
    def started(self) -> dict[str, Any]:
        """How the run was started."""
        return event_attributes(msgspec.json.decode(self.run.events[0].raw)) if self.run.events else {}

    @cached_property
    def run_timeout(self) -> float:
        """In seconds; 0 stands for no limit."""
        return parse_duration(self.started.get("workflowRunTimeout"))

    @cached_property
    def core_flags(self) -> dict[int, int]:
        """Each flag of the core that the record names, with the first event that does."""
        found: dict[int, int] = {}
        for event in self.run.events:
            if event.event_type == "WorkflowTaskCompleted":
                metadata = event_attributes(msgspec.json.decode(event.raw)).get("sdkMetadata") or {}
                for flag in metadata.get("coreUsedFlags") or ():
                    found.setdefault(flag, event.event_id)
        return found

    @property
    def blind(self) -> bool:
        """Whether the SDK leaves out checks on this record, as it names none of the flags that ask for them."""
        return bool(self.last_completed) and 1 not in self.core_flags

    @cached_property
    def last_completed(self) -> int:
        """The id of the newest completed task; 0 where there is none."""
        return next((one.event_id for one in reversed(self.run.events) if one.event_type == "WorkflowTaskCompleted"), 0)

    @cached_property
    def last_task_started(self) -> int:
        """The id of the newest task that began after the last completed one; 0 where none did."""
        for event in reversed(self.run.events):
            if event.event_id <= self.last_completed:
                return 0
            if event.event_type == "WorkflowTaskStarted":
                return event.event_id
        return 0

    @property
    def last_id(self) -> int:
        """The id of the last event."""
        return self.run.events[-1].event_id if self.run.events else 0

    @property
    def closed(self) -> bool:
        """Whether the run is over."""
        return bool(self.run.events) and self.run.events[-1].event_type in CLOSING

    @cached_property
    def stuck_on(self) -> Event | None:
        """The failed or timed-out task that nothing came after, or None where the last task went well."""
        if self.closed:
            return None
        for event in reversed(self.run.events):
            if event.event_type == "WorkflowTaskCompleted":
                return None
            if event.event_type in _TASK_ENDS:
                return event if self._tells(event) else None
        return None

    def _tells(self, event: Event) -> bool:
        """A reset, or a task that no worker took in time, says nothing about the code."""
        found = self.attributes_of(event.event_id)
        return found.get("cause") != _RESET and found.get("timeoutType") != "TIMEOUT_TYPE_SCHEDULE_TO_START"

    def malformed(self) -> str:
        """Why no engine could replay this, or "": on such a history the SDK's replayer hangs."""
        events = event_heads(self.run.events)
        if not events or events[0].event_type != "WorkflowExecutionStarted":
            return "the history does not begin with WorkflowExecutionStarted"
        if len(events) == 1:
            return "the history has one event only: no workflow task was ever scheduled"
        for before, event in itertools.pairwise(events):
            if event.event_id != before.event_id + 1:
                return f"events are missing: {before.event_id} is followed by {event.event_id}"
            if before.event_type == "WorkflowTaskStarted" and event.event_type not in _AFTER_STARTED:
                return f"event {event.event_id}, {event.event_type}, cannot follow WorkflowTaskStarted"
            if before.event_type in CLOSING:
                return f"event {event.event_id} comes after the end of the run, {before.event_type}"
        return ""

    def commands(self) -> Iterator[Expected]:
        """What the code asked for, in its order, with the timers that fired: they name the timer once more."""
        for event in self.run.events:
            if event.event_type in BY_EVENT or event.event_type == "TimerFired":
                yield self.expected(event)

    def expected(self, event: Event) -> Expected:
        """An event as one half of a comparison."""
        found = event_attributes(msgspec.json.decode(event.raw))
        if event.event_type == "MarkerRecorded":
            return marker(event, found)
        kind = BY_EVENT.get(event.event_type)
        if kind is None:
            return Expected(event.event_id, event.event_type, _spoken(event.event_type), "", _plain_fields(found))
        fields = {**read_recorded_fields(kind, found), **self._related(kind.kind, found)}
        name = str(fields.get(kind.name) or fields.get("name") or "")
        return Expected(event.event_id, event.event_type, kind.kind, name, fields)

    def _related(self, kind: str, found: dict[str, Any]) -> dict[str, Any]:
        """What another event says about the thing that this one is about."""
        if kind == "cancel_activity":
            held = self.attributes_of(found.get("scheduledEventId"))
            return {"activityId": held.get("activityId"), "name": (held.get("activityType") or {}).get("name")}
        if kind == "cancel_nexus_operation":
            return {"name": self.attributes_of(found.get("scheduledEventId")).get("operation")}
        if kind == "update_accepted":
            return self._update(found)
        if kind == "update_completed":
            return self._update(self.attributes_of(found.get("acceptedEventId")))
        return {}

    def _update(self, accepted: dict[str, Any]) -> dict[str, Any]:
        """The name and the id; after a reset the request stands in the event that admitted it anew."""
        request = accepted.get("acceptedRequest")
        if not request:
            request = self.attributes_of(accepted.get("acceptedRequestSequencingEventId")).get("request") or {}
        names = {
            "name": (request.get("input") or {}).get("name"),
            "updateId": (request.get("meta") or {}).get("updateId"),
        }
        return {key: value for key, value in names.items() if value}


def marker(event: Event, found: dict[str, Any]) -> Expected:
    """A marker as one half of a comparison: a patch, a local activity, or somebody's own."""
    name = str(found.get("markerName") or "")
    details = found.get("details") or {}
    try:
        if name == _PATCH:
            data = _detail(details, "patch-data")
            patch = str(data["id"])
            fields = {"patchId": patch, "deprecated": bool(data.get("deprecated"))}
            return Expected(event.event_id, event.event_type, "patch", patch, fields)
        if name == _LOCAL:
            data = _detail(details, "data")
            local = {"seq": data["seq"], "activityId": data["activity_id"], "activityType": data["activity_type"]}
            return Expected(event.event_id, event.event_type, "local_activity", data["activity_type"], local)
    except (KeyError, IndexError, TypeError, ValueError):
        pass
    return Expected(event.event_id, event.event_type, "marker", name, {"markerName": name})


def _detail(details: dict[str, Any], key: str) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(payload_from_json(details[key]["payloads"][0]).data)
    return decoded


def _plain_fields(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if isinstance(value, str | int)}


def _spoken(event_type: str) -> str:
    """An event that records no command, in the same kind of word."""
    words = "".join(f"_{char.lower()}" if char.isupper() else char for char in event_type)
    return words.removeprefix("_")


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
