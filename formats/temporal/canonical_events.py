"""One Temporal event: from any spelling to the canonical `Event`, and what of it the rest of the house reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from types import GenericAlias
from typing import Any, NamedTuple

import msgspec

from replaytool.formats import json_stream as json_values
from replaytool.formats.base import Unreadable
from replaytool.formats.temporal.event_schema import HISTORY_EVENT, event_struct, letters
from replaytool.formats.temporal.old_spellings import Notes, normalised
from replaytool.model.history import Event, Problem

_CARRIES_BUILD = {"WorkflowTaskStarted", "WorkflowTaskCompleted", "WorkflowTaskFailed", "ActivityTaskStarted"}
TELLING = {
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "WorkflowTaskFailed",
    "WorkflowExecutionContinuedAsNew",
}
"""Events whose content says something about the whole run."""
UNSPECIFIED = "Unspecified"  # the type of an event that names none
_LONGEST_HISTORY = 192 * 1024 * 1024  # servers stop at 50 MB of protobuf

# How a build was spelled over the years: the older ones only the slow lane meets.
_BUILDS = (
    ("workerVersion", "buildId"),
    ("deploymentVersion", "buildId"),
    ("workerVersioningId", "workerBuildId"),
)


class _Kind(NamedTuple):
    """One type of event, by its spelled name."""

    name: str
    """PascalCase."""
    key: str
    """Of its attributes, in JSON."""
    field: str
    """Of its attributes, in the struct."""
    carries_build: bool = False
    tells: bool = False
    """Whether its content may say something about the whole run."""


@cache
def _kinds() -> dict[object, _Kind]:
    spellings = HISTORY_EVENT.fields_by_name["event_type"].enum_type
    assert spellings is not None
    by_letters = {letters(kind.name.removeprefix("EVENT_TYPE_")): kind.name for kind in spellings.values}
    kinds: dict[object, _Kind] = {}
    for attributes in HISTORY_EVENT.oneofs_by_name["attributes"].fields:
        stem = attributes.camelcase_name.removesuffix("EventAttributes")
        spelled = by_letters.get(letters(stem))
        if spelled:
            name, key = stem[0].upper() + stem[1:], attributes.camelcase_name
            kinds[spelled] = _Kind(name, key, f"{attributes.name}_", name in _CARRIES_BUILD, name in TELLING)
    return kinds


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(event_struct())


_encoded, _encoded_lines = msgspec.json.Encoder().encode, msgspec.json.Encoder().encode_lines
_NOT_STRICT = (msgspec.MsgspecError, UnicodeError, RecursionError)


@cache
def _list_decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(list[event_struct()])  # type: ignore[misc]


@cache
def _file_decoder() -> msgspec.json.Decoder[Any]:
    events: Any = GenericAlias(list, event_struct())
    return msgspec.json.Decoder(msgspec.defstruct("File", [("events", events)], forbid_unknown_fields=True))


def whole_file(text: bytes | msgspec.Raw) -> tuple[list[Any], list[int]]:
    """The events and ids of a text that holds one history and nothing else, as nearly all files do; none otherwise."""
    try:
        events: list[Any] = _file_decoder().decode(text).events
        ids = [int(event.event_id_) for event in events]
    except (*_NOT_STRICT, TypeError, ValueError):
        return [], []
    return (events, ids) if ids == list(range(1, len(ids) + 1)) else ([], [])


def all_understood(text: msgspec.Raw) -> tuple[list[Any], list[int]]:
    """The events of a whole list with their ids; none where there is anything that the SDK does not know."""
    try:
        events: list[Any] = _list_decoder().decode(text)
        return events, [int(event.event_id_) for event in events]
    except (*_NOT_STRICT, TypeError, ValueError):
        return [], []


def understood(value: Any) -> Any:
    """The event that this is, as a struct where the SDK knows all of it, else as an object; None if it is no event."""
    if type(value) is msgspec.Raw:
        try:
            event = _decoder().decode(value)
        except _NOT_STRICT:
            pass
        else:
            if event.event_id_ and event.event_type_:
                return event
        value = json_values.opened(value)
    if not isinstance(value, dict) or not ("eventId" in value or "event_id" in value):
        return None
    return {key: json_values.whole(item) for key, item in value.items()}


def id_of(event: Any) -> int:
    """The id of what `understood` gave."""
    return _number(event.get("eventId", event.get("event_id")) if isinstance(event, dict) else event.event_id_)


def attributes(event: dict[str, Any]) -> dict[str, Any]:
    """What is particular to this type of event."""
    known = _kinds().get(event.get("eventType", ""))
    found = event.get(known.key) if known else None
    return found if isinstance(found, dict) else {}


@dataclass
class EventList:
    """The canonical events of one history, gathered one by one, with what was odd about them."""

    events: list[Event] = field(default_factory=list)
    parsed: dict[int, dict[str, Any]] = field(default_factory=dict)
    """The few events that say something about the whole run, by their place in the list."""
    notes: dict[tuple[str, str], Problem] = field(default_factory=dict)
    size: int = 0
    hashed: Any = field(default_factory=hashlib.sha256)
    """Over all that came by the fast lane, as it came; of no use where anything did not, or came in another order."""
    is_hashed: bool = True

    def add(self, source: dict[str, Any]) -> None:
        """Take in one event in any spelling."""
        try:
            event = msgspec.convert(source, event_struct())
        except _NOT_STRICT:
            self._add_odd(source)
        else:
            if event.event_type_:
                self.extend([event], [_number(event.event_id_)])
            else:
                self._add_odd(source)

    def extend(self, events: Sequence[Any], ids: Sequence[int]) -> None:
        """Take in events as `understood` gives them: structs in the fast lane, objects in the slow one."""
        lines = _lines(events)
        if lines is None:
            for event, event_id in zip(events, ids, strict=True):
                self._add_one(event, event_id)
        else:
            self._add_all(events, ids, lines)
        self._check_size()

    def _add_all(self, events: Sequence[Any], ids: Sequence[int], lines: bytes) -> None:
        """The loop that a load spends its time in."""
        self.hashed.update(lines)
        self.size += len(lines)
        kinds, found = _kinds(), self.events
        for event, event_id, raw in zip(events, ids, lines.split(b"\n"), strict=False):
            try:
                name, _, field, carries_build, tells = kinds[event.event_type_]
            except KeyError:
                self._add_odd(msgspec.to_builtins(event))
                continue
            build = _build(getattr(event, field)) if carries_build else None
            if tells and _tells(name, getattr(event, field)):
                self.parsed[len(found)] = msgspec.to_builtins(event)
            found.append(Event(event_id, name, event.event_time_ or None, build, raw))

    def _add_one(self, event: Any, event_id: int) -> None:
        if type(event) is dict:
            self.add(event)
        elif (line := _lines([event])) is not None:
            self._add_all([event], [event_id], line)
        else:
            self._add_odd(msgspec.to_builtins(event))

    def _add_odd(self, source: dict[str, Any]) -> None:
        """The slow lane: an event that the SDK does not know as it stands."""
        self.is_hashed = False
        event, raw = self._slowly(source, event_struct())
        event_id = _number(event.get("eventId"))
        spelled = event.get("eventType")
        kind = _kinds().get(spelled) if isinstance(spelled, str) else None
        if kind is None:
            kind = _Kind(str(spelled or UNSPECIFIED), "", "")
            self.note(Problem("unknown-event", f"event type {kind.name} is not known to the installed SDK", event_id))
        if kind.name in TELLING:
            self.parsed[len(self.events)] = event
        build = _build_of(event.get(kind.key)) if kind.name in _CARRIES_BUILD else None
        time = event.get("eventTime")
        self.events.append(Event(event_id, kind.name, time if isinstance(time, str) else None, build, raw))
        self.size += len(raw)
        self._check_size()

    def _check_size(self) -> None:
        if self.size > _LONGEST_HISTORY:
            raise Unreadable("a history of more than 192 MB", "servers stop at 50 MB: this is something else")

    def _slowly(self, source: dict[str, Any], struct: Any) -> tuple[dict[str, Any], bytes]:
        notes = Notes()
        event = normalised(source, notes)
        event_id = _number(event.get("eventId"))
        for code, what in notes.found:
            self.note(Problem(code, json_values.repaired(what), event_id))
        clean = json_values.repaired(event)
        if clean != event:
            self.note(Problem("odd-value", "text or a number that JSON cannot hold was replaced", event_id))
        try:
            return clean, _encoded(msgspec.convert(clean, struct))
        except msgspec.ValidationError as error:
            if not notes.found and not _retired_only(str(error)):
                self.note(Problem("odd-value", str(error), event_id))
        return clean, json_values.encode(clean)

    def note(self, problem: Problem) -> None:
        """Remember a problem once, however many events have it."""
        self.notes.setdefault((problem.code, problem.message), problem)

    def digest(self) -> str:
        """What the content is, in one word."""
        if self.is_hashed:
            return str(self.hashed.hexdigest())
        return digest(event.raw for event in self.events)


def _lines(events: Sequence[Any]) -> bytes | None:
    """Each event as a line of canonical JSON, written in one go; nothing where one of them takes the slow lane."""
    if dict in set(map(type, events)):
        return None
    try:
        return _encoded_lines(events)
    except UnicodeEncodeError:
        return None


def _tells(name: str, attributes: Any) -> bool:
    """Nearly all completed tasks say nothing but that: there can be ten thousand of them."""
    return name != "WorkflowTaskCompleted" or bool(attributes and attributes.sdk_metadata_)


def digest(raws: Iterable[bytes]) -> str:
    """The SHA-256 of canonical events in their order."""
    total = hashlib.sha256()
    rest = iter(raws)
    while some := list(islice(rest, 1000)):
        total.update(b"\n".join(some) + b"\n")
    return total.hexdigest()


def _retired_only(error: str) -> bool:
    return "unknown field" in error


def _number(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0


def _build(attributes: Any) -> str | None:
    """The build that ran it, from the struct: what is unset there is false."""
    if not attributes:
        return None
    for holder in (attributes.worker_version_, getattr(attributes, "deployment_version_", None)):
        if holder and holder.build_id_:
            return str(holder.build_id_)
    return getattr(attributes, "binary_checksum_", None) or None


def _build_of(attributes: object) -> str | None:
    """The same from an object, in every spelling that the protocol has had."""
    if not isinstance(attributes, dict):
        return None
    for key, name in _BUILDS:
        holder = attributes.get(key)
        if isinstance(holder, dict) and isinstance(holder.get(name), str) and holder[name]:
            return str(holder[name])
    checksum = attributes.get("binaryChecksum")
    return checksum if isinstance(checksum, str) and checksum else None
