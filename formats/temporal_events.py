"""One Temporal event: from any spelling to the canonical `Event`, and what of it the rest of the house reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from replaytool.formats import json_values
from replaytool.formats.temporal_normal import Notes, normalised
from replaytool.formats.temporal_schema import HISTORY_EVENT, event_struct, letters
from replaytool.history import Event, Problem

_CARRIES_BUILD = {"WorkflowTaskStarted", "WorkflowTaskCompleted", "WorkflowTaskFailed", "ActivityTaskStarted"}


@cache
def type_names() -> dict[str, tuple[str, str]]:
    """For every spelled event type the PascalCase name and the key of its attributes."""
    by_letters = {
        letters(kind.name.removeprefix("EVENT_TYPE_")): kind.name
        for kind in HISTORY_EVENT.fields_by_name["event_type"].enum_type.values
    }
    keys = [one.camelcase_name for one in HISTORY_EVENT.oneofs_by_name["attributes"].fields]
    names = {}
    for key in keys:
        stem = key.removesuffix("EventAttributes")
        spelled = by_letters.get(letters(stem))
        if spelled:
            names[spelled] = (stem[0].upper() + stem[1:], key)
    return names


def attributes(event: dict[str, Any]) -> dict[str, Any]:
    """What is particular to this type of event."""
    known = type_names().get(event.get("eventType", ""))
    found = event.get(known[1]) if known else None
    return found if isinstance(found, dict) else {}


@dataclass
class EventList:
    """The canonical events of one history, gathered one by one, with what was odd about them."""

    events: list[Event] = field(default_factory=list)
    parsed: dict[int, dict[str, Any]] = field(default_factory=dict)
    """The few events that say something about the whole run, by their place in the list."""
    notes: dict[tuple[str, str], Problem] = field(default_factory=dict)

    def add(self, source: dict[str, Any]) -> None:
        """Take in one event in any spelling."""
        struct = event_struct()
        try:
            raw = msgspec.json.encode(msgspec.convert(source, struct))
            event = source
        except (msgspec.ValidationError, UnicodeEncodeError):
            event, raw = self._slowly(source, struct)
        event_id = _number(event.get("eventId"))
        name, key = type_names().get(event.get("eventType") or "", ("", ""))
        if not name:
            name = str(event.get("eventType") or "Unspecified")
            self.note(Problem("unknown-event", f"event type {name} is not known to the installed SDK", event_id))
        build = _build(event.get(key)) if name in _CARRIES_BUILD else None
        if name in TELLING:
            self.parsed[len(self.events)] = event
        time = event.get("eventTime")
        self.events.append(Event(event_id, name, time if isinstance(time, str) else None, build, raw))

    def _slowly(self, source: dict[str, Any], struct: Any) -> tuple[dict[str, Any], bytes]:
        notes = Notes()
        event = normalised(source, notes)
        event_id = _number(event.get("eventId"))
        for code, what in notes.found:
            self.note(Problem(code, what, event_id))
        try:
            return event, msgspec.json.encode(msgspec.convert(event, struct))
        except msgspec.ValidationError as error:
            if not notes.found and not _retired_only(str(error)):
                self.note(Problem("odd-value", str(error), event_id))
        except UnicodeEncodeError:
            pass
        return event, json_values.encode(event)

    def note(self, problem: Problem) -> None:
        """Remember a problem once, however many events have it."""
        self.notes.setdefault((problem.code, problem.message), problem)

    def digest(self) -> str:
        """What the content is, in one word."""
        return digest(event.raw for event in self.events)


# Events whose content says something about the whole run.
TELLING = {
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "WorkflowTaskFailed",
    "WorkflowExecutionContinuedAsNew",
}


def digest(raws: Iterable[bytes]) -> str:
    """The SHA-256 of canonical events in their order."""
    total = hashlib.sha256()
    for raw in raws:
        total.update(raw)
        total.update(b"\n")
    return total.hexdigest()


def _retired_only(error: str) -> bool:
    return "unknown field" in error


def _number(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError):
        return 0


def _build(attributes: object) -> str | None:
    """The build that ran it, in every spelling that the protocol has had."""
    if not isinstance(attributes, dict):
        return None
    for key, name in (
        ("workerVersion", "buildId"),
        ("deploymentVersion", "buildId"),
        ("workerVersioningId", "workerBuildId"),
    ):
        holder = attributes.get(key)
        if isinstance(holder, dict) and isinstance(holder.get(name), str) and holder[name]:
            return str(holder[name])
    checksum = attributes.get("binaryChecksum")
    return checksum if isinstance(checksum, str) and checksum else None
