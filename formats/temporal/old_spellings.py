"""The slow lane: an event in any spelling that Temporal's tools ever wrote, brought to the one that they write today.

Nothing is dropped. What is not understood stays where it was, under its own name, and is reported as a note.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from replaytool.formats import json_stream as json_values
from replaytool.formats.temporal.event_schema import PAYLOAD, PAYLOADS, Field, Message, letters, schema

# Words that were renamed, most of them before 1.0, in field names and in enum values alike.
_RENAMED = (
    ("decisiontask", "workflowtask"),
    ("tasklist", "taskqueue"),
    ("retrystatus", "retrystate"),
    ("updaterequested", "updateadmitted"),
    ("decider", "workflow"),
    ("decision", "command"),
)
_RENAMED_FIELDS = {
    "executionstarttoclosetimeout": "workflowRunTimeout",
    "taskstarttoclosetimeout": "workflowTaskTimeout",
}
# Fields that the protocol dropped, whose meaning is known: they stay, and are no news.
_RETIRED = {
    "usecompatibleversion", "workerversioningid", "workflowidreusepolicy", "control", "parentworkflowdomain",
    "domain", "childpolicy", "backoffstartintervalinseconds", "expirationintervalinseconds", "buildid",
    "activitytaskscheduledeventattributes.namespace", "workerversion.bundleid",
}  # fmt: skip
_UI_DECORATION = {"attributes", "classification", "category", "name", "id", "timestamp", "ispending"}
_JSON_PLAIN = base64.b64encode(b"json/plain").decode()
_ENCODING_NAME = re.compile(r"[a-z]+/[a-z+.-]+")


@dataclass
class Notes:
    """What was met on the way through one event."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, code: str, what: str) -> None:
        """Remember one finding."""
        self.found.append((code, what))


def normalised(event: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """The event in today's spelling."""
    event = _undecorated(event, notes)
    result: dict[str, Any] = _message(event, schema(), "", notes)
    if result.get("eventType", "EVENT_TYPE_UNSPECIFIED") == "EVENT_TYPE_UNSPECIFIED":
        _type_from_attributes(result)
    return result


def _undecorated(event: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """The event without what the UI derived from it; old exports have their time in nanoseconds."""
    keys = {letters(key): key for key in event}
    event = dict(event)
    if "eventtime" not in keys and (time := event.pop(keys.get("timestamp", ""), None)) is not None:
        event["eventTime"] = _time_from_nanoseconds(time)
    attributes = event.get("attributes")
    if isinstance(attributes, dict) and isinstance(attributes.get("type"), str):
        kind = attributes["type"]
        if kind not in event:
            event[kind] = {key: value for key, value in attributes.items() if key != "type"}
        for key in keys.keys() & _UI_DECORATION:
            event.pop(keys[key], None)
        notes.add("ui-decorated", "fields that the UI derived were left out")
    return event


def _time_from_nanoseconds(time: object) -> object:
    try:
        nanoseconds = int(str(time))
    except ValueError:
        return time
    seconds, rest = divmod(nanoseconds, 10**9)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
    except (ValueError, OverflowError, OSError):
        return time


def _type_from_attributes(event: dict[str, Any]) -> None:
    """Protobuf leaves out an enum's default, and some exports left out the type: the attributes' key tells it."""
    kind = schema().fields["eventtype"].enum
    for key in event:
        if key.endswith("EventAttributes") and kind is not None:
            name = kind.canonical(key.removesuffix("EventAttributes"))
            if name is not None:
                event["eventType"] = name
                return


def _message(value: Any, message: Message, path: str, notes: Notes) -> Any:
    if not isinstance(value, dict):
        notes.add("unknown-field", f"{path} is no {message.name.rsplit('.', 1)[-1]}")
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        known, name = _field(message, key)
        where = f"{path}.{name}" if path else name
        if known is None:
            result[key] = item
            if not _is_retired(letters(where)):
                notes.add("unknown-field", f"{where} is not known to the installed SDK")
        elif item is not None:
            result[name] = _value(_seconds(item) if known.is_duration else item, known, where, notes)
    return result


def _is_retired(path: str) -> bool:
    """Some names were dropped everywhere, others in one message only."""
    parts = path.split(".")
    return parts[-1] in _RETIRED or ".".join(parts[-2:]) in _RETIRED


def _field(message: Message, key: str) -> tuple[Field | None, str]:
    """The field that a key means, by its letters; then by its letters before the renaming; then without a unit."""
    plain = letters(key)
    for spelling in _spellings(plain):
        known = message.fields.get(spelling)
        if known is not None and (spelling == plain or not plain.endswith("seconds") or known.is_duration):
            return known, known.name
    return None, key


def _spellings(plain: str) -> list[str]:
    spellings = [plain]
    for old, new in _RENAMED:
        spellings.append(spellings[-1].replace(old, new))
    spellings.append(spellings[-1].removesuffix("seconds").removesuffix("in"))
    spellings.append(letters(_RENAMED_FIELDS.get(spellings[-1], "")))
    return spellings


def _seconds(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return f"{value}s"


def _value(value: Any, known: Field, path: str, notes: Notes) -> Any:
    if known.message is not None and known.message.name in (PAYLOAD, PAYLOADS):
        return _recorded_value(value, known, path, notes)
    if known.is_map:
        return _each(value, known, path, notes)
    if known.is_list:
        items = value if isinstance(value, list) else [value]
        return [_single(item, known, f"{path}[{index}]", notes) for index, item in enumerate(items)]
    return _single(value, known, path, notes)


def _each(value: Any, known: Field, path: str, notes: Notes) -> Any:
    if not isinstance(value, dict):
        notes.add("unknown-field", f"{path} is no map")
        return value
    return {key: _single(item, known, f"{path}.{key}", notes) for key, item in value.items()}


def _single(value: Any, known: Field, path: str, notes: Notes) -> Any:
    if known.message is not None:
        return _message(value, known.message, path, notes)
    if known.enum is not None:
        return _enum(value, known, path, notes)
    return _scalar(value, known)


def _enum(value: Any, known: Field, path: str, notes: Notes) -> Any:
    assert known.enum is not None
    name = known.enum.canonical(value)
    if name is None and isinstance(value, str):
        renamed = letters(value)
        for old, new in _RENAMED:
            renamed = renamed.replace(old, new)
        name = known.enum.canonical(renamed) or known.enum.canonical(renamed.removeprefix(letters(known.name)))
    if name is None:
        code = "unknown-event" if path == "eventType" else "unknown-enum"
        notes.add(code, f"{path} {value!r} is not known to the installed SDK")
        return value
    return name


def _scalar(value: Any, known: Field) -> Any:
    """Numbers that were written as text, and the other way round, where the protocol wants the other."""
    descriptor = known.descriptor
    if descriptor.cpp_type in (descriptor.CPPTYPE_INT64, descriptor.CPPTYPE_UINT64):
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if descriptor.cpp_type in (descriptor.CPPTYPE_INT32, descriptor.CPPTYPE_UINT32) and isinstance(value, str):
        return int(value) if re.fullmatch(r"-?\d{1,10}", value) else value
    if descriptor.type == descriptor.TYPE_BYTES and isinstance(value, str):
        return _standard_base64(value) or value
    return value


def _standard_base64(text: str) -> str | None:
    padded = text.replace("-", "+").replace("_", "/").rstrip("=")
    padded += "=" * (-len(padded) % 4)
    try:
        return base64.b64encode(base64.b64decode(padded, validate=True)).decode()
    except (binascii.Error, ValueError):
        return None


def _recorded_value(value: Any, known: Field, path: str, notes: Notes) -> Any:
    """Payloads as recorded, or made again from what the UI decoded."""
    assert known.message is not None
    if known.message.name == PAYLOAD:
        if known.is_list:
            return [_payload(item, f"{path}[{i}]", notes) for i, item in enumerate(_as_list(value))]
        if known.is_map and isinstance(value, dict):
            return {key: _payload(item, f"{path}.{key}", notes) for key, item in value.items()}
        if known.is_map and isinstance(value, str):
            return {"data": _payload(value, f"{path}.data", notes)}
        return _payload(value, path, notes)
    if known.is_map:
        if isinstance(value, dict):
            return {key: _payloads(item, f"{path}.{key}", notes) for key, item in value.items()}
        return {"data": _payloads(value, f"{path}.data", notes)}
    return _payloads(value, path, notes)


def _payloads(value: Any, path: str, notes: Notes) -> Any:
    if isinstance(value, str) and (blob := _blob(value)) is not None:
        return {"payloads": [{"data": blob}]}
    items = value.get("payloads", []) if isinstance(value, dict) and set(value) <= {"payloads"} else value
    return {"payloads": [_payload(item, f"{path}[{i}]", notes) for i, item in enumerate(_as_list(items))]}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _payload(value: Any, path: str, notes: Notes) -> Any:
    if not (isinstance(value, dict) and "metadata" in value and isinstance(value["metadata"], dict)):
        if isinstance(value, dict) and set(value) == {"data"} and isinstance(value["data"], str):
            return {"data": _standard_base64(value["data"]) or value["data"]}
        return _encoded_again(value, {"encoding": _JSON_PLAIN}, path, notes)
    metadata = {key: _metadata(item) for key, item in value["metadata"].items()}
    rest = {key: item for key, item in value.items() if key not in ("metadata", "data")}
    if "data" not in value:
        return {"metadata": metadata, **rest}
    data = value["data"]
    kept = _standard_base64(data) if isinstance(data, str) and metadata == value["metadata"] else None
    if kept is not None:
        return {"metadata": metadata, "data": kept, **rest}
    return _encoded_again(data, metadata, path, notes) | rest


def _blob(text: str) -> str | None:
    """Before 1.0 a whole argument list was one piece of base64, without a word about its encoding."""
    decoded = _standard_base64(text)
    return decoded if decoded == text and len(text) >= 4 else None


def _metadata(value: Any) -> Any:
    """Metadata is base64; the UI shows what it says."""
    if not isinstance(value, str):
        return value
    if _ENCODING_NAME.fullmatch(value) or _standard_base64(value) is None:
        return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()
    return value


def _encoded_again(value: Any, metadata: dict[str, Any], path: str, notes: Notes) -> dict[str, Any]:
    """The payload of a value that the UI decoded: exact as JSON goes, lost where the encoding was another one."""
    encoding = _text(metadata.get("encoding", _JSON_PLAIN))
    if encoding == "binary/null":
        return {"metadata": metadata}
    if encoding == "binary/plain" and isinstance(value, str):
        notes.add("decoded-payload", f"{path} was decoded by the UI and is encoded as {encoding} again")
        return {
            "metadata": metadata,
            "data": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode(),
        }
    if not encoding.startswith("json/"):
        notes.add("lost-payload", f"{path} was {encoding} and shows only what the UI made of it")
        return {"metadata": metadata, "data": value}
    notes.add("decoded-payload", f"{path} was decoded by the UI and is encoded as {encoding} again")
    return {"metadata": metadata, "data": base64.b64encode(json_values.encode(value)).decode()}


def _text(value: Any) -> str:
    try:
        return base64.b64decode(value).decode()
    except (ValueError, TypeError):
        return str(value)
