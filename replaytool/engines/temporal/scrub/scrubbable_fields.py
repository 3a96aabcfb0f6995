"""Find the fields of an event that hold a user's data: values in payloads, failure messages, identities.

A label names a field: the event type, what the event is about, and the path. All items of a list share one label,
since each may hold the same kind of data. Payloads that the engine writes for itself are left out.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from replaytool.engines.temporal.events.event_types import MARKER
from replaytool.engines.temporal.events.labels import event_attributes
from replaytool.engines.temporal.events.payloads import is_payload, payload_from_json
from replaytool.model.history import Payload
from replaytool.model.scrub_result import ScrubbableField

ITEM, KEYS = "*", "(keys)"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_JSON = ("json/plain", "json/protobuf", "json")
_TEXTS = {"message", "stackTrace", "identity", "reason", "nexusHeader"}
# Kept by the SDK's core for itself: the id of a patch, and how a local activity was scheduled.
_ENGINES = {"patch-data", "data"}
_ENGINE_ATTRIBUTES = ("Temporal", "BuildIds")


@dataclass(frozen=True, slots=True)
class OpaqueValue:
    """A value that cannot be read without the user's codec."""

    encoding: str
    data: bytes


Change = Callable[[ScrubbableField], object]
"""Returns the new value of a field, or the same value to keep it."""


def read_event_type(event: dict[str, object]) -> str:
    """Return the event type in the spelling of the SQL views."""
    return "".join(word.title() for word in str(event["eventType"]).removeprefix("EVENT_TYPE_").split("_"))


def change_fields(event: dict[str, object], about: str, change: Change) -> dict[str, object]:
    """Return the event with its fields changed."""
    kind = read_event_type(event)
    label = f"{kind}.{about}" if about else kind
    held = event_attributes(event)
    is_marker = kind == MARKER
    walk = _FieldWalk(change, _ENGINES if is_marker else set())
    return {
        key: walk.change_part(value, label if value is held else f"{label}.{key}", key) if key != "eventType" else value
        for key, value in event.items()
    }


def list_fields(event: dict[str, object], about: str) -> Iterator[ScrubbableField]:
    """Yield all fields of an event."""
    found: list[ScrubbableField] = []

    def collect_field(field: ScrubbableField) -> object:
        found.append(field)
        return field.value

    change_fields(event, about, collect_field)
    yield from found


@dataclass(frozen=True, slots=True)
class _FieldWalk:
    change: Change
    skipped: set[str]

    def change_part(self, value: object, label: str, key: str) -> object:
        """Change a part of the event that is not a payload."""
        if is_payload(value):
            return self._change_payload(value, label, key)
        if isinstance(value, dict):
            return {name: self._change_member(name, one, label) for name, one in value.items()}
        if isinstance(value, list):
            return [self.change_part(one, f"{label}.{number}", key) for number, one in enumerate(value)]
        if isinstance(value, str) and value and (key in _TEXTS or ".nexusHeader." in label):
            return self.change(ScrubbableField(label, key, value))
        return value

    def _change_member(self, name: str, value: object, label: str) -> object:
        if name in self.skipped or (name.startswith(_ENGINE_ATTRIBUTES) and is_payload(value)):
            return value
        # "payloads" and "fields" are the protocol's words, not the user's.
        return self.change_part(
            value, label if name in ("payloads", "fields", "indexedFields") else f"{label}.{name}", name
        )

    def _change_payload(self, value: dict[str, object], label: str, key: str) -> dict[str, object]:
        payload = payload_from_json(value)
        if payload.encoding_name not in _JSON:
            return self._change_bytes(value, payload, label, key)
        try:
            held = json.loads(payload.data)
        except (ValueError, RecursionError):
            return self._report_opaque(value, payload, label, key)
        made = self.change_value(held, label, key)
        # Unchanged values keep their bytes: to encode them again could change blanks or escapes.
        if _is_same_json(made, held):
            return value
        return {**value, "data": base64.b64encode(_dump_json(made)).decode()}

    def _change_bytes(self, value: dict[str, object], payload: Payload, label: str, key: str) -> dict[str, object]:
        """Change bytes that are text. Other bytes are most likely encrypted and stay as they are."""
        try:
            text = payload.data.decode()
        except UnicodeDecodeError:
            text = ""
        if payload.encoding_name != "binary/plain" or not text:
            return self._report_opaque(value, payload, label, key)
        return {
            **value,
            "data": base64.b64encode(str(self.change(ScrubbableField(label, key, text))).encode()).decode(),
        }

    def _report_opaque(self, value: dict[str, object], payload: Payload, label: str, key: str) -> dict[str, object]:
        if payload.data:
            self.change(ScrubbableField(label, key, OpaqueValue(payload.encoding_name, payload.data)))
        return value

    def change_value(self, value: object, label: str, key: str) -> object:
        """Change a part of a user's value."""
        if isinstance(value, dict):
            return {
                self._change_key(name, label): self.change_value(one, f"{label}.{name}", name)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self.change_value(one, f"{label}.{ITEM}", key) for one in value]
        if isinstance(value, str) and value[:1] in ("{", "["):
            return self._change_nested_json(value, label, key)
        # True, false and null identify nobody, and the code branches on them.
        return value if value is None or isinstance(value, bool) else self.change(ScrubbableField(label, key, value))

    def _change_key(self, name: str, label: str) -> str:
        """Change a key that does not look like a field name: then it is data, such as an email address."""
        return name if _NAME.fullmatch(name) else str(self.change(ScrubbableField(f"{label}.{KEYS}", KEYS, name)))

    def _change_nested_json(self, value: str, label: str, key: str) -> object:
        """Change JSON inside a string: language models pass tool arguments this way."""
        try:
            held = json.loads(value)
        except (ValueError, RecursionError):
            return self.change(ScrubbableField(label, key, value))
        made = self.change_value(held, f"{label}.(json)", key)
        spaced = json.dumps(held, ensure_ascii=False) == value
        return value if _is_same_json(made, held) else _dump_json(made, spaced=spaced).decode()


def _is_same_json(one: object, other: object) -> bool:
    return json.dumps(one) == json.dumps(other)


def _dump_json(value: object, *, spaced: bool = False) -> bytes:
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(value, ensure_ascii=False, separators=separators).encode("utf-8", "surrogatepass")
