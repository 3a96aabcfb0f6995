"""The fields of a recorded event that hold what users said: values in payloads, messages of failures, identities.

A field is known by a label: the event's type, what the event is about, and the path to it. Items of a list share one
label, for what one of them may hold another may hold too. What the engine itself keeps in payloads is none of it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from replaytool.engines.temporal.events.labels import attributes
from replaytool.engines.temporal.events.payloads import from_json, is_payload
from replaytool.model.history import Payload

ITEM, KEYS = "*", "(keys)"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_JSON = ("json/plain", "json/protobuf", "json")
_TEXTS = {"message", "stackTrace", "identity", "reason", "nexusHeader"}
# Kept by the SDK's core for itself: the id of a patch, and how a local activity was scheduled.
_ENGINES = {"patch-data", "data"}
_ENGINE_ATTRIBUTES = ("Temporal", "BuildIds")


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a user's, and where it stands."""

    label: str
    key: str
    """The nearest name on the way to it."""
    value: Any


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that nobody can look into without the user's codec."""

    encoding: str
    data: bytes


Change = Callable[[Field], Any]
"""Gives the value to put there; the same one to leave it."""


def event_type(event: dict[str, Any]) -> str:
    """In the spelling of the views."""
    return "".join(word.title() for word in event["eventType"].removeprefix("EVENT_TYPE_").split("_"))


def changed(event: dict[str, Any], about: str, change: Change) -> dict[str, Any]:
    """The event with its fields changed."""
    kind = event_type(event)
    label = f"{kind}.{about}" if about else kind
    held = attributes(event)
    is_marker = kind == "MarkerRecorded"
    walk = _Walk(change, _ENGINES if is_marker else set())
    return {
        key: walk.part(value, label if value is held else f"{label}.{key}", key) if key != "eventType" else value
        for key, value in event.items()
    }


def fields(event: dict[str, Any], about: str) -> Iterator[Field]:
    """All fields of an event."""
    found: list[Field] = []

    def note(field: Field) -> Any:
        found.append(field)
        return field.value

    changed(event, about, note)
    yield from found


@dataclass(frozen=True, slots=True)
class _Walk:
    change: Change
    skipped: set[str]

    def part(self, value: Any, label: str, key: str) -> Any:
        """A part of the event that is no payload."""
        if is_payload(value):
            return self._payload(value, label, key)
        if isinstance(value, dict):
            return {name: self._member(name, one, label) for name, one in value.items()}
        if isinstance(value, list):
            return [self.part(one, f"{label}.{number}", key) for number, one in enumerate(value)]
        if isinstance(value, str) and value and (key in _TEXTS or ".nexusHeader." in label):
            return self.change(Field(label, key, value))
        return value

    def _member(self, name: str, value: Any, label: str) -> Any:
        if name in self.skipped or (name.startswith(_ENGINE_ATTRIBUTES) and is_payload(value)):
            return value
        # "payloads" and "fields" are the protocol's words, not the user's.
        return self.part(value, label if name in ("payloads", "fields", "indexedFields") else f"{label}.{name}", name)

    def _payload(self, value: dict[str, Any], label: str, key: str) -> dict[str, Any]:
        payload = from_json(value)
        if payload.encoding not in _JSON:
            return self._bytes(value, payload, label, key)
        try:
            held = json.loads(payload.data)
        except (ValueError, RecursionError):
            return self._hidden(value, payload, label, key)
        made = self.value(held, label, key)
        if _same(made, held):
            return value
        return {**value, "data": base64.b64encode(_dumped(made)).decode()}

    def _bytes(self, value: dict[str, Any], payload: Payload, label: str, key: str) -> dict[str, Any]:
        """Bytes that are text can be told; others, encrypted ones above all, stay as they are."""
        try:
            text = payload.data.decode()
        except UnicodeDecodeError:
            text = ""
        if payload.encoding != "binary/plain" or not text:
            return self._hidden(value, payload, label, key)
        return {**value, "data": base64.b64encode(str(self.change(Field(label, key, text))).encode()).decode()}

    def _hidden(self, value: dict[str, Any], payload: Payload, label: str, key: str) -> dict[str, Any]:
        if payload.data:
            self.change(Field(label, key, Hidden(payload.encoding, payload.data)))
        return value

    def value(self, value: Any, label: str, key: str) -> Any:
        """A part of a value of the user's."""
        if isinstance(value, dict):
            return {self._name(name, label): self.value(one, f"{label}.{name}", name) for name, one in value.items()}
        if isinstance(value, list):
            return [self.value(one, f"{label}.{ITEM}", key) for one in value]
        if isinstance(value, str) and value[:1] in ("{", "["):
            return self._nested(value, label, key)
        return value if value is None or isinstance(value, bool) else self.change(Field(label, key, value))

    def _name(self, name: str, label: str) -> str:
        """Names of fields are the code's; what reads like no name is a value that stands for a key."""
        return name if _NAME.fullmatch(name) else str(self.change(Field(f"{label}.{KEYS}", KEYS, name)))

    def _nested(self, value: str, label: str, key: str) -> Any:
        """JSON inside a text, as tools of language models are called with it."""
        try:
            held = json.loads(value)
        except (ValueError, RecursionError):
            return self.change(Field(label, key, value))
        made = self.value(held, f"{label}.(json)", key)
        spaced = json.dumps(held, ensure_ascii=False) == value
        return value if _same(made, held) else _dumped(made, spaced=spaced).decode()


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)


def _dumped(value: Any, *, spaced: bool = False) -> bytes:
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(value, ensure_ascii=False, separators=separators).encode("utf-8", "surrogatepass")
