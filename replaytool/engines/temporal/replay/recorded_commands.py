"""Read a recorded history: its command events, its flags, and its last tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any

import msgspec

from replaytool.engines.temporal.events.decoding import DecodedEvents, decode_history, event_heads, split_raw_events
from replaytool.engines.temporal.events.labels import event_attributes
from replaytool.engines.temporal.events.payloads import payload_from_json
from replaytool.engines.temporal.replay.command_fields import PAYLOAD_MAP, drop_none_values, parse_duration
from replaytool.engines.temporal.replay.command_kinds import BY_EVENT, CLOSING, read_recorded_fields
from replaytool.engines.temporal.replay.malformed_records import describe_malformation
from replaytool.engines.temporal.sdk.versions import RELEASE, TELLS_CANCEL_REASONS, find_recorded_release
from replaytool.model.history import Event, Run
from replaytool.model.verdict import ExpectedEvent

_TASK_ENDS = {"WorkflowTaskCompleted", "WorkflowTaskFailed", "WorkflowTaskTimedOut"}
_RESET = "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
_PATCH, _LOCAL = "core_patch", "core_local_activity"
SEARCH_ATTRIBUTE_OF_PATCHES = "TemporalChangeVersion"
_UPSERTS = {"memo": "WorkflowPropertiesModified", "searchAttributes": "UpsertWorkflowSearchAttributes"}
_ATTRIBUTES = b'EventAttributes":'
JsonObject = dict[str, Any]
"""A JSON object as msgspec decodes it: the attributes of an event, or the details of a marker."""


class _Head(msgspec.Struct):
    eventId: str | int = 0
    eventType: Any = ""
    eventTime: str | None = None


def run_from_json(run: Run, history: bytes) -> Run:
    """Return the run with the events of this JSON history."""
    records = decode_history(history)
    # An event with attributes of two types decodes as one of them, and only the whole event shows it.
    if records is None or history.count(_ATTRIBUTES) > len(records):
        return replace(run, events=[_read_event(bytes(raw)) for raw in split_raw_events(history)])
    return replace(run, events=DecodedEvents(records, partial(split_raw_events, history)))


_head = msgspec.json.Decoder(_Head)


def _read_event(raw: bytes) -> Event:
    try:
        head = _head.decode(raw)
        return Event(int(head.eventId), _pascal_case(str(head.eventType)), head.eventTime, None, raw)
    except (msgspec.ValidationError, ValueError):
        # What is wrong with it is said by its name, together with the event: `find_malformation`.
        return Event(0, "", None, None, raw)


@cache
def _pascal_case(name: str) -> str:
    return "".join(word.title() for word in name.removeprefix("EVENT_TYPE_").split("_"))


@dataclass(frozen=True)
class RecordedHistory:
    """The history of one run, read on demand."""

    run: Run

    @property
    def events(self) -> list[Event]:
        """The events in the order of their ids."""
        return list(self.run.events)

    @cached_property
    def events_by_id(self) -> dict[int, Event]:
        """The events by their ids."""
        return {event.event_id: event for event in self.run.events}

    def event_attributes(self, event_id: object) -> JsonObject:
        """Return the attributes of an event; empty where no event has this id."""
        event = self.events_by_id.get(_to_number(event_id))
        return event_attributes(msgspec.json.decode(event.raw)) if event else {}

    @cached_property
    def started_attributes(self) -> JsonObject:
        """The attributes of the first event."""
        return event_attributes(msgspec.json.decode(self.run.events[0].raw)) if self.run.events else {}

    @cached_property
    def run_timeout(self) -> float:
        """The run timeout in seconds; 0 means no limit."""
        return parse_duration(self.started_attributes.get("workflowRunTimeout"))

    @cached_property
    def upserted_fields(self) -> frozenset[str]:
        """Which of memo and search attributes the run has changed after its start."""
        types = {event.event_type for event in event_heads(self.run.events)}
        return frozenset(name for name, event_type in _UPSERTS.items() if event_type in types)

    @cached_property
    def carried_values(self) -> JsonObject:
        """The memo and search attributes that the run had all the time, in the form of a command's fields."""
        found = {name: PAYLOAD_MAP.recorded(self.started_attributes.get(name)) for name in _UPSERTS}
        return drop_none_values({name: one for name, one in found.items() if name not in self.upserted_fields})

    @cached_property
    def core_flags(self) -> dict[int, int]:
        """Each sdk-core flag of the history, with the id of the first event that names it."""
        found: dict[int, int] = {}
        for event in self.run.events:
            if event.event_type == "WorkflowTaskCompleted":
                metadata = event_attributes(msgspec.json.decode(event.raw)).get("sdkMetadata") or {}
                for flag in metadata.get("coreUsedFlags") or ():
                    found.setdefault(flag, event.event_id)
        return found

    @cached_property
    def tells_cancel_reasons(self) -> bool:
        """Whether the worker's SDK passed the reasons of cancellations on, and this one does too."""
        tasks = (
            event_attributes(msgspec.json.decode(event.raw))
            for event in self.run.events
            if event.event_type == "WorkflowTaskCompleted"
        )
        return min(RELEASE, find_recorded_release(tasks)) >= TELLS_CANCEL_REASONS

    @property
    def lacks_check_flags(self) -> bool:
        """Whether the SDK compares no names on this history, because the flag for it is missing."""
        return bool(self.last_completed_task_id) and 1 not in self.core_flags

    @cached_property
    def last_completed_task_id(self) -> int:
        """The event id of the last completed task, or 0."""
        return next((one.event_id for one in reversed(self.run.events) if one.event_type == "WorkflowTaskCompleted"), 0)

    @cached_property
    def last_started_task_id(self) -> int:
        """The event id of the last task that started after the last completed one, or 0."""
        for event in reversed(self.run.events):
            if event.event_id <= self.last_completed_task_id:
                return 0
            if event.event_type == "WorkflowTaskStarted":
                return event.event_id
        return 0

    @property
    def last_event_id(self) -> int:
        """The id of the last event."""
        return self.run.events[-1].event_id if self.run.events else 0

    @property
    def is_closed(self) -> bool:
        """Whether the run has ended."""
        return bool(self.run.events) and self.run.events[-1].event_type in CLOSING

    @cached_property
    def stuck_task(self) -> Event | None:
        """The failed or timed-out task at the end of the history, or None where the last task completed."""
        if self.is_closed:
            return None
        for event in reversed(self.run.events):
            if event.event_type == "WorkflowTaskCompleted":
                return None
            if event.event_type in _TASK_ENDS:
                return event if self._is_code_failure(event) else None
        return None

    def _is_code_failure(self, event: Event) -> bool:
        """Whether a failed task tells about the code. A reset, or a task that no worker took, does not."""
        found = self.event_attributes(event.event_id)
        return found.get("cause") != _RESET and found.get("timeoutType") != "TIMEOUT_TYPE_SCHEDULE_TO_START"

    def find_malformation(self) -> str:
        """Return why this history cannot be replayed, or "". The SDK's replayer rejects such a history, or hangs."""
        events = self.run.events
        malformed = describe_malformation(events)
        if isinstance(events, DecodedEvents):
            return malformed
        # Only such a history can have values of wrong types. The SDK's replayer raises on them, or waits for ever.
        from replaytool.engines.temporal.replay.unreadable_fields import find_unreadable_field

        unreadable = find_unreadable_field(events)
        has_headless = any(event.event_id == 0 for event in events)  # what is wrong is in the fields of every event
        return unreadable or malformed if has_headless else malformed or unreadable

    def recorded_commands(self) -> Iterator[ExpectedEvent]:
        """Return the command events in order, and TimerFired events: only these name the timer's id reliably."""
        for event in self.run.events:
            if event.event_type in BY_EVENT or event.event_type == "TimerFired":
                yield self.expected_command(event)

    def expected_command(self, event: Event) -> ExpectedEvent:
        """Return an event as the expected side of a comparison."""
        found = event_attributes(msgspec.json.decode(event.raw))
        if event.event_type == "MarkerRecorded":
            return read_marker(event, found)
        kind = BY_EVENT.get(event.event_type)
        if kind is None:
            return ExpectedEvent(
                event.event_id, event.event_type, _event_type_words(event.event_type), "", _plain_fields(found)
            )
        fields = {**read_recorded_fields(kind, found), **self._related_fields(kind.kind, found)}
        name = str(fields.get(kind.name) or fields.get("name") or "")
        return ExpectedEvent(event.event_id, event.event_type, kind.kind, name, fields)

    def _related_fields(self, kind: str, found: JsonObject) -> JsonObject:
        """Return fields that another event holds about the same activity, operation or update."""
        if kind == "cancel_activity":
            held = self.event_attributes(found.get("scheduledEventId"))
            return {"activityId": held.get("activityId"), "name": (held.get("activityType") or {}).get("name")}
        if kind == "cancel_nexus_operation":
            return {"name": self.event_attributes(found.get("scheduledEventId")).get("operation")}
        if kind == "update_accepted":
            return self._update_names(found)
        if kind == "update_completed":
            return self._update_names(self.event_attributes(found.get("acceptedEventId")))
        return {}

    def _update_names(self, accepted: JsonObject) -> JsonObject:
        """Return name and id of an update. After a reset the request stands in the UpdateAdmitted event."""
        request = accepted.get("acceptedRequest")
        if not request:
            request = self.event_attributes(accepted.get("acceptedRequestSequencingEventId")).get("request") or {}
        names = {
            "name": (request.get("input") or {}).get("name"),
            "updateId": (request.get("meta") or {}).get("updateId"),
        }
        return {key: value for key, value in names.items() if value}


def read_marker(event: Event, found: JsonObject) -> ExpectedEvent:
    """Return a marker as the expected side of a comparison: a patch, a local activity, or another SDK's marker."""
    name = str(found.get("markerName") or "")
    details = found.get("details") or {}
    try:
        if name == _PATCH:
            data = _read_marker_detail(details, "patch-data")
            patch = str(data["id"])
            fields = {"patchId": patch, "deprecated": bool(data.get("deprecated"))}
            return ExpectedEvent(event.event_id, event.event_type, "patch", patch, fields)
        if name == _LOCAL:
            data = _read_marker_detail(details, "data")
            local = {"seq": data["seq"], "activityId": data["activity_id"], "activityType": data["activity_type"]}
            return ExpectedEvent(event.event_id, event.event_type, "local_activity", data["activity_type"], local)
    except (KeyError, IndexError, TypeError, ValueError):
        pass
    return ExpectedEvent(event.event_id, event.event_type, "marker", name, {"markerName": name})


def _read_marker_detail(details: JsonObject, key: str) -> JsonObject:
    decoded: JsonObject = msgspec.json.decode(payload_from_json(details[key]["payloads"][0]).data)
    return decoded


def _plain_fields(found: JsonObject) -> JsonObject:
    return {key: value for key, value in found.items() if isinstance(value, str | int)}


def _event_type_words(event_type: str) -> str:
    """Return the event type in snake case, like the kinds of commands."""
    words = "".join(f"_{char.lower()}" if char.isupper() else char for char in event_type)
    return words.removeprefix("_")


def _to_number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
