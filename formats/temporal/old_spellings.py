"""The slow path: rewrite an event from any spelling that Temporal's tools ever wrote to today's.

Nothing is dropped. An unknown field keeps its place and its name, and is reported as a note.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from replaytool.formats import json_stream as json_values
from replaytool.formats.temporal.event_schema import (
    PAYLOAD,
    PAYLOADS,
    SchemaField,
    SchemaMessage,
    fold_spelling,
    message_schema,
)

# Words that were renamed in field names and enum values, most of them before 1.0.
_RENAMED = (
    # Before "decision", which would make commandTask of decisionTask.
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
# Fields that the protocol dropped. Their meaning is known: they stay, without a note.
_RETIRED = {
    "usecompatibleversion", "workerversioningid", "workflowidreusepolicy", "control", "parentworkflowdomain",
    "domain", "childpolicy", "backoffstartintervalinseconds", "expirationintervalinseconds", "buildid",
    "activitytaskscheduledeventattributes.namespace", "workerversion.bundleid",
}  # fmt: skip
_UI_DECORATION = {"attributes", "classification", "category", "name", "id", "timestamp", "ispending"}
_JSON_PLAIN = base64.b64encode(b"json/plain").decode()
_ENCODING_NAME = re.compile(r"[a-z]+/[a-z+.-]+")


@dataclass
class RepairNotes:
    """The findings of one event."""

    found: list[tuple[str, str]] = field(default_factory=list)
    is_type_inferred: bool = False
    """Whether the event names no type, and its attributes told it."""

    def add_note(self, code: str, what: str) -> None:
        """Add one finding."""
        self.found.append((code, what))


def normalize_event(event: dict[str, object], notes: RepairNotes) -> dict[str, object]:
    """Return the event in today's spelling."""
    event = _strip_ui_fields(event, notes)
    result = _normalize_fields(event, message_schema(), "", notes)
    if result.get("eventType", "EVENT_TYPE_UNSPECIFIED") == "EVENT_TYPE_UNSPECIFIED":
        notes.is_type_inferred = _set_type_from_attributes(result)
    return result


def _strip_ui_fields(event: dict[str, object], notes: RepairNotes) -> dict[str, object]:
    """Remove fields that the UI derived. Old exports have their time in nanoseconds."""
    keys = {fold_spelling(key): key for key in event}
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
        notes.add_note("ui-decorated", "fields that the UI had added were removed")
    return event


def _time_from_nanoseconds(time: object) -> object:
    try:
        nanoseconds = int(str(time))
    except ValueError:
        return time
    # In integers: a float has too few digits for nanoseconds.
    seconds, rest = divmod(nanoseconds, 10**9)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
    except (ValueError, OverflowError, OSError):
        return time


def _set_type_from_attributes(event: dict[str, object]) -> bool:
    """Set a missing type from the key of the attributes, and return whether that was possible.

    Some exports omit the type of every event.
    """
    kind = message_schema().fields["eventtype"].value_enum
    for key in event:
        if key.endswith("EventAttributes") and kind is not None:
            name = kind.canonical_name(key.removesuffix("EventAttributes"))
            if name is not None:
                event["eventType"] = name
                return True
    return False


def _normalize_message(value: object, message: SchemaMessage, path: str, notes: RepairNotes) -> object:
    if not isinstance(value, dict):
        notes.add_note("unknown-field", f"{path} is not a {message.name.rsplit('.', 1)[-1]}")
        return value
    return _normalize_fields(value, message, path, notes)


def _normalize_fields(
    value: dict[str, object], message: SchemaMessage, path: str, notes: RepairNotes
) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, item in value.items():
        known, name = _find_field(message, key)
        where = f"{path}.{name}" if path else name
        if known is None:
            result[key] = item
            if not _is_retired_path(fold_spelling(where)):
                notes.add_note("unknown-field", f"the installed SDK does not know {where}")
        # In proto JSON, null means that a field is not set.
        elif item is not None:
            result[name] = _normalize_value(_format_seconds(item) if known.is_duration else item, known, where, notes)
    return result


def _is_retired_path(path: str) -> bool:
    """Return whether the protocol dropped this field: everywhere, or in one message."""
    parts = path.split(".")
    return parts[-1] in _RETIRED or ".".join(parts[-2:]) in _RETIRED


def _find_field(message: SchemaMessage, key: str) -> tuple[SchemaField | None, str]:
    """Find a field by its folded spelling; then by the spelling before a renaming; then without a unit."""
    plain = fold_spelling(key)
    for spelling in _candidate_spellings(plain):
        known = message.fields.get(spelling)
        if known is not None and (spelling == plain or not plain.endswith("seconds") or known.is_duration):
            return known, known.name
    return None, key


def _candidate_spellings(plain: str) -> list[str]:
    spellings = [plain]
    for old, new in _RENAMED:
        spellings.append(spellings[-1].replace(old, new))
    spellings.append(spellings[-1].removesuffix("seconds").removesuffix("in"))
    spellings.append(fold_spelling(_RENAMED_FIELDS.get(spellings[-1], "")))
    return spellings


def _format_seconds(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return f"{value}s"


def _normalize_value(value: object, known: SchemaField, path: str, notes: RepairNotes) -> object:
    if known.value_message is not None and known.value_message.name in (PAYLOAD, PAYLOADS):
        return _normalize_recorded_value(value, known, path, notes)
    if known.is_map:
        return _normalize_map(value, known, path, notes)
    if known.is_list:
        items = value if isinstance(value, list) else [value]
        return [_normalize_single(item, known, f"{path}[{index}]", notes) for index, item in enumerate(items)]
    return _normalize_single(value, known, path, notes)


def _normalize_map(value: object, known: SchemaField, path: str, notes: RepairNotes) -> object:
    if not isinstance(value, dict):
        notes.add_note("unknown-field", f"{path} is not a map")
        return value
    return {key: _normalize_single(item, known, f"{path}.{key}", notes) for key, item in value.items()}


def _normalize_single(value: object, known: SchemaField, path: str, notes: RepairNotes) -> object:
    if known.value_message is not None:
        return _normalize_message(value, known.value_message, path, notes)
    if known.value_enum is not None:
        return _normalize_enum(value, known, path, notes)
    return _normalize_scalar(value, known)


def _normalize_enum(value: object, known: SchemaField, path: str, notes: RepairNotes) -> object:
    assert known.value_enum is not None
    name = known.value_enum.canonical_name(value)
    if name is None and isinstance(value, str):
        renamed = fold_spelling(value)
        for old, new in _RENAMED:
            renamed = renamed.replace(old, new)
        name = known.value_enum.canonical_name(renamed) or known.value_enum.canonical_name(
            renamed.removeprefix(fold_spelling(known.name))
        )
    if name is None:
        code = "unknown-event" if path == "eventType" else "unknown-enum"
        notes.add_note(code, f"the installed SDK does not know {path} {value!r}")
        return value
    return name


def _normalize_scalar(value: object, known: SchemaField) -> object:
    """Convert numbers written as text, and text written as numbers, to what the protocol wants."""
    descriptor = known.descriptor
    if descriptor.cpp_type in (descriptor.CPPTYPE_INT64, descriptor.CPPTYPE_UINT64):
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if descriptor.cpp_type in (descriptor.CPPTYPE_INT32, descriptor.CPPTYPE_UINT32) and isinstance(value, str):
        return int(value) if re.fullmatch(r"-?\d{1,10}", value) else value
    if descriptor.type == descriptor.TYPE_BYTES and isinstance(value, str):
        return _standardize_base64(value) or value
    return value


def _standardize_base64(text: str) -> str | None:
    padded = text.replace("-", "+").replace("_", "/").rstrip("=")
    padded += "=" * (-len(padded) % 4)
    try:
        return base64.b64encode(base64.b64decode(padded, validate=True)).decode()
    except (binascii.Error, ValueError):
        return None


def _normalize_recorded_value(value: object, known: SchemaField, path: str, notes: RepairNotes) -> object:
    """Return payloads as recorded, or encode again what the UI decoded."""
    assert known.value_message is not None
    if known.value_message.name == PAYLOAD:
        if known.is_list:
            return [_normalize_payload(item, f"{path}[{i}]", notes) for i, item in enumerate(_as_list(value))]
        if known.is_map and isinstance(value, dict):
            return {key: _normalize_payload(item, f"{path}.{key}", notes) for key, item in value.items()}
        if known.is_map and isinstance(value, str):
            return {"data": _normalize_payload(value, f"{path}.data", notes)}
        return _normalize_payload(value, path, notes)
    if known.is_map:
        if isinstance(value, dict):
            return {key: _normalize_payloads(item, f"{path}.{key}", notes) for key, item in value.items()}
        return {"data": _normalize_payloads(value, f"{path}.data", notes)}
    return _normalize_payloads(value, path, notes)


def _normalize_payloads(value: object, path: str, notes: RepairNotes) -> object:
    if isinstance(value, str) and (blob := _read_blob(value)) is not None:
        return {"payloads": [{"data": blob}]}
    items = value.get("payloads", []) if isinstance(value, dict) and set(value) <= {"payloads"} else value
    return {"payloads": [_normalize_payload(item, f"{path}[{i}]", notes) for i, item in enumerate(_as_list(items))]}


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _normalize_payload(value: object, path: str, notes: RepairNotes) -> object:
    if not (isinstance(value, dict) and "metadata" in value and isinstance(value["metadata"], dict)):
        if isinstance(value, dict) and set(value) == {"data"} and isinstance(value["data"], str):
            return {"data": _standardize_base64(value["data"]) or value["data"]}
        return _encode_again(value, {"encoding": _JSON_PLAIN}, path, notes)
    metadata = {key: _encode_metadata(item) for key, item in value["metadata"].items()}
    rest = {key: item for key, item in value.items() if key not in ("metadata", "data")}
    if "data" not in value:
        return {"metadata": metadata, **rest}
    data = value["data"]
    kept = _standardize_base64(data) if isinstance(data, str) and metadata == value["metadata"] else None
    if kept is not None:
        return {"metadata": metadata, "data": kept, **rest}
    return _encode_again(data, metadata, path, notes) | rest


def _read_blob(text: str) -> str | None:
    """Return base64 without an encoding: before 1.0, this was a whole list of arguments."""
    decoded = _standardize_base64(text)
    return decoded if decoded == text and len(text) >= 4 else None


def _encode_metadata(value: object) -> object:
    """Encode metadata as base64; the UI shows it decoded."""
    if not isinstance(value, str):
        return value
    # "json/plain" is valid base64 too, so what looks like a name is one.
    if _ENCODING_NAME.fullmatch(value) or _standardize_base64(value) is None:
        return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()
    return value


def _encode_again(value: object, metadata: dict[str, object], path: str, notes: RepairNotes) -> dict[str, object]:
    """Encode a value that the UI decoded. JSON is restored exactly; other encodings are lost."""
    encoding = _decode_metadata(metadata.get("encoding", _JSON_PLAIN))
    if encoding == "binary/null":
        return {"metadata": metadata}
    if encoding == "binary/plain" and isinstance(value, str):
        notes.add_note("decoded-payload", f"the UI had decoded {path}: it is encoded as {encoding} again")
        return {
            "metadata": metadata,
            "data": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode(),
        }
    if not encoding.startswith("json/"):
        notes.add_note("lost-payload", f"{path} was {encoding}, and only the UI's decoded form is left")
        return {"metadata": metadata, "data": value}
    notes.add_note("decoded-payload", f"the UI had decoded {path}: it is encoded as {encoding} again")
    return {"metadata": metadata, "data": base64.b64encode(json_values.encode_value(value)).decode()}


def _decode_metadata(value: object) -> str:
    if not isinstance(value, str):
        return str(value)
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return value
