"""Convert one Temporal event from any spelling to a canonical `Event`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from types import GenericAlias
from typing import Any, NamedTuple, TypeAlias, cast

import msgspec

from replaytool.errors import ErrorCode
from replaytool.formats import json_stream as json_values
from replaytool.formats.base import Unreadable
from replaytool.formats.temporal.event_schema import HISTORY_EVENT, EventStruct, event_struct, fold_spelling
from replaytool.formats.temporal.old_spellings import RepairNotes, normalize_event
from replaytool.model.build_ids import read_build_id
from replaytool.model.history import Event, Problem
from replaytool.text import shorten_text

_CARRIES_BUILD = {"WorkflowTaskStarted", "WorkflowTaskCompleted", "WorkflowTaskFailed", "ActivityTaskStarted"}
TELLING = {
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "WorkflowTaskFailed",
    "WorkflowExecutionContinuedAsNew",
}
"""Events whose content describes the whole run."""
UNSPECIFIED = "Unspecified"  # the type of an event that names none
_LONGEST_NOTE = 300  # letters; a name in a malformed file can have any length
_UNSPECIFIED_NAME = "EVENT_TYPE_UNSPECIFIED"
_LONGEST_HISTORY = 192 * 1024 * 1024  # servers stop at 50 MB of protobuf


DecodedEvent: TypeAlias = EventStruct | dict[str, object]
"""A struct if the SDK knows all of the event, else a dict."""


class _EventKind(NamedTuple):
    """One event type, by its name in the protocol."""

    name: str
    """PascalCase."""
    key: str
    """The key of the attributes in JSON."""
    field: str
    """The field of the attributes in the struct."""
    carries_build: bool = False
    tells: bool = False
    """Whether its content may describe the whole run."""


@cache
def _event_kinds() -> dict[object, _EventKind]:
    spellings = HISTORY_EVENT.fields_by_name["event_type"].enum_type
    assert spellings is not None
    by_letters = {fold_spelling(kind.name.removeprefix("EVENT_TYPE_")): kind.name for kind in spellings.values}
    kinds: dict[object, _EventKind] = {}
    for attributes in HISTORY_EVENT.oneofs_by_name["attributes"].fields:
        stem = attributes.camelcase_name.removesuffix("EventAttributes")
        spelled = by_letters.get(fold_spelling(stem))
        if spelled:
            name, key = stem[0].upper() + stem[1:], attributes.camelcase_name
            kinds[spelled] = _EventKind(name, key, f"{attributes.name}_", name in _CARRIES_BUILD, name in TELLING)
    return kinds


@cache
def _event_decoder() -> msgspec.json.Decoder[EventStruct]:
    return msgspec.json.Decoder(event_struct())


_encoded, _encoded_lines = msgspec.json.Encoder().encode, msgspec.json.Encoder().encode_lines
_NOT_STRICT = (msgspec.MsgspecError, UnicodeError, RecursionError)


@cache
def _list_decoder() -> msgspec.json.Decoder[list[EventStruct]]:
    return msgspec.json.Decoder(list[event_struct()])  # type: ignore[misc]


@cache
def _file_decoder() -> msgspec.json.Decoder[Any]:
    events: Any = GenericAlias(list, event_struct())
    # A member beside the events may hold the run's IDs. Then the decoder fails, and the walk reads the file.
    return msgspec.json.Decoder(msgspec.defstruct("File", [("events", events)], forbid_unknown_fields=True))


def decode_plain_file(text: bytes | msgspec.Raw) -> tuple[list[EventStruct], list[int]]:
    """Decode a text that holds one history and nothing else, as most files do.

    Return events and IDs, or two empty lists.
    """
    try:
        events: list[EventStruct] = _file_decoder().decode(text).events
        ids = [int(event.event_id_) for event in events]
    except (*_NOT_STRICT, TypeError, ValueError):
        return [], []
    return (events, ids) if ids == list(range(1, len(ids) + 1)) else ([], [])


def decode_event_list(text: msgspec.Raw) -> tuple[list[EventStruct], list[int]]:
    """Decode a list of events. Return events and IDs, or two empty lists if the SDK does not know all of it."""
    try:
        events = _list_decoder().decode(text)
        return events, [int(event.event_id_) for event in events]
    except (*_NOT_STRICT, TypeError, ValueError):
        return [], []


def decode_event(value: object) -> DecodedEvent | None:
    """Decode an event: a struct if the SDK knows all of it, else a dict. Return None if it is not an event."""
    if type(value) is msgspec.Raw:
        try:
            event = _event_decoder().decode(value)
        except _NOT_STRICT:
            pass
        else:
            if event.event_id_ and event.event_type_:
                return event
        value = json_values.open_value(value)
    if not isinstance(value, dict) or not ("eventId" in value or "event_id" in value):
        return None
    return {key: json_values.read_whole_value(item) for key, item in value.items()}


def read_event_id(event: DecodedEvent) -> int:
    """Return the ID of an event that `decode_event` returned."""
    return _parse_number(event.get("eventId", event.get("event_id")) if isinstance(event, dict) else event.event_id_)


def find_attributes(event: dict[str, object]) -> dict[str, object]:
    """Return the attributes of an event."""
    known = _event_kinds().get(event.get("eventType", ""))
    found = event.get(known.key) if known else None
    return found if isinstance(found, dict) else {}


@dataclass
class HistoryBuilder:
    """Collects the canonical events of one history, and the problems in it."""

    events: list[Event] = field(default_factory=list)
    parsed: dict[int, dict[str, object]] = field(default_factory=dict)
    """The few events that describe the whole run, by their index."""
    notes: dict[tuple[str, str], Problem] = field(default_factory=dict)
    size: int = 0
    hashed: hashlib._Hash = field(default_factory=hashlib.sha256)
    """The hash of all events on the fast path, in order of arrival. Invalid if an event took the slow path or is out
    of order.
    """
    is_hashed: bool = True
    inferred: set[int] = field(default_factory=set)
    """The indexes of events whose type was told by their attributes alone."""

    def add_event(self, source: dict[str, object]) -> None:
        """Add one event in any spelling."""
        try:
            event = msgspec.convert(source, event_struct())
        except _NOT_STRICT:
            self._add_unknown_event(source)
        else:
            if event.event_type_:
                self.add_events([event], [_parse_number(event.event_id_)])
            else:
                self._add_unknown_event(source)

    def add_events(self, events: Sequence[DecodedEvent], ids: Sequence[int]) -> None:
        """Add events as `decode_event` returns them: structs on the fast path, dicts on the slow path."""
        lines = _encode_lines(events)
        if lines is None:
            for event, event_id in zip(events, ids, strict=True):
                self._add_single_event(event, event_id)
        else:
            # `_encode_lines` returns None if one of them is a dict.
            self._add_known_events(cast(Sequence[EventStruct], events), ids, lines)
        self._check_size()

    def _add_known_events(self, events: Sequence[EventStruct], ids: Sequence[int], lines: bytes) -> None:
        """Add events on the fast path. A load spends most of its time in this loop."""
        self.hashed.update(lines)
        self.size += len(lines)
        kinds, found = _event_kinds(), self.events
        # JSON escapes line feeds, so each line is one event. Not strict: an empty line follows the last one.
        for event, event_id, raw in zip(events, ids, lines.split(b"\n"), strict=False):
            try:
                name, _, field, carries_build, tells = kinds[event.event_type_]
            except KeyError:
                self._add_unknown_event(msgspec.to_builtins(event))
                continue
            build = _build_id_of_struct(getattr(event, field)) if carries_build else None
            if tells and _is_telling(name, getattr(event, field)):
                self.parsed[len(found)] = msgspec.to_builtins(event)
            found.append(Event(event_id, name, event.event_time_ or None, build, raw))

    def _add_single_event(self, event: DecodedEvent, event_id: int) -> None:
        if isinstance(event, dict):
            self.add_event(event)
        elif (line := _encode_lines([event])) is not None:
            self._add_known_events([event], [event_id], line)
        else:
            self._add_unknown_event(msgspec.to_builtins(event))

    def _add_unknown_event(self, source: dict[str, object]) -> None:
        """Add an event on the slow path: the SDK does not know it as it is."""
        self.is_hashed = False
        event, raw = self._normalize_slowly(source, event_struct())
        event_id = _parse_number(event.get("eventId"))
        spelled = event.get("eventType")
        kind = _event_kinds().get(spelled) if isinstance(spelled, str) else None
        if kind is None:
            kind = _EventKind(str(spelled or UNSPECIFIED), "", "")
            self.add_problem(
                Problem("unknown-event", f"the installed SDK does not know event type {kind.name}", event_id)
            )
        if kind.name in TELLING:
            self.parsed[len(self.events)] = event
        build = read_build_id(event.get(kind.key)) if kind.name in _CARRIES_BUILD else None
        time = event.get("eventTime")
        self.events.append(Event(event_id, kind.name, time if isinstance(time, str) else None, build, raw))
        self.size += len(raw)
        self._check_size()

    def _check_size(self) -> None:
        if self.size > _LONGEST_HISTORY:
            raise Unreadable(
                "a history of more than 192 MB",
                "servers end a run at 50 MB: this is not a history",
                code=ErrorCode.FORMAT_TOO_LARGE,
            )

    def _normalize_slowly(
        self, source: dict[str, object], struct: type[EventStruct]
    ) -> tuple[dict[str, object], bytes]:
        notes = RepairNotes()
        event = normalize_event(source, notes)
        event_id = _parse_number(event.get("eventId"))
        if notes.is_type_inferred:
            self.inferred.add(len(self.events))
        for code, what in notes.found:
            self.add_problem(Problem(code, json_values.repair_text(what), event_id))
        clean = json_values.repair_object(event)
        if clean != event:
            self.add_problem(Problem("odd-value", "text or a number that JSON cannot represent was replaced", event_id))
        try:
            return clean, _encoded(msgspec.convert(clean, struct))
        except msgspec.ValidationError as error:
            if not notes.found and not _is_retired_field(str(error)):
                self.add_problem(Problem("odd-value", str(error), event_id))
        return clean, json_values.encode_value(clean)

    def add_problem(self, problem: Problem) -> None:
        """Add a problem once, however many events have it."""
        problem = replace(problem, message=shorten_text(problem.message, _LONGEST_NOTE))
        self.notes.setdefault((problem.code, problem.message), problem)

    def withdraw_inferred_types(self) -> None:
        """Take back the types that attributes told where other events name theirs: then these events are damaged."""
        if len(self.inferred) == len(self.events):
            return
        for index in self.inferred:
            event = self.events[index]
            raw = json_values.encode_value({**msgspec.json.decode(event.raw), "eventType": _UNSPECIFIED_NAME})
            self.events[index] = msgspec.structs.replace(event, event_type=UNSPECIFIED, raw=raw)
            self.add_problem(Problem("unknown-event", "the event has no type", event.event_id))

    def hash_history(self) -> str:
        """Return the hash of the history's content."""
        if self.is_hashed:
            return self.hashed.hexdigest()
        return hash_raw_events(event.raw for event in self.events)


def _encode_lines(events: Sequence[DecodedEvent]) -> bytes | None:
    """Encode each event as a line of canonical JSON in one call. Return None if one of them needs the slow path."""
    if dict in set(map(type, events)):
        return None
    try:
        return _encoded_lines(events)
    except UnicodeEncodeError:
        return None


def _is_telling(name: str, attributes: Any) -> bool:
    """Return whether the event describes the run.

    A run can have ten thousand completed tasks; few have SDK metadata.
    """
    return name != "WorkflowTaskCompleted" or bool(attributes and attributes.sdk_metadata_)


def hash_raw_events(raws: Iterable[bytes]) -> str:
    """Return the SHA-256 of canonical events in order."""
    total = hashlib.sha256()
    rest = iter(raws)
    while some := list(islice(rest, 1000)):
        total.update(b"\n".join(some) + b"\n")
    return total.hexdigest()


def _is_retired_field(error: str) -> bool:
    return "unknown field" in error


def _parse_number(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0


def _build_id_of_struct(attributes: Any) -> str | None:
    """Return what `read_build_id` returns, from a struct: a load spends its time here. Unset fields are falsy."""
    if not attributes:
        return None
    for holder in (attributes.worker_version_, getattr(attributes, "deployment_version_", None)):
        if holder and holder.build_id_:
            return str(holder.build_id_)
    return getattr(attributes, "binary_checksum_", None) or None
