"""Read the fields of a command from either side, the event's JSON or the SDK's proto, as values that can be compared.

A missing option and an option that is set to its default are both None. The server writes defaults out and the SDK
leaves them out, and they must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload as ProtoPayload
from temporalio.api.common.v1 import Payloads

from replaytool.engines.temporal.events.payloads import is_payload, payload_from_json
from replaytool.model.history import Payload

V = TypeVar("V")


class FieldReader(NamedTuple):
    """Two functions that read one field: from the event's JSON, and from the command's proto."""

    recorded: Callable[[Any], object]
    produced: Callable[[Any], object]


def format_duration(seconds: float) -> str | None:
    """Return a duration as the protocol's JSON writes it.

    >>> format_duration(10), format_duration(1.5), format_duration(0)
    ('10s', '1.500s', None)
    """
    if not seconds:
        return None
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds:.3f}s"


def parse_duration(text: str | None) -> float:
    """Return the seconds of a recorded duration; 0 means no limit.

    >>> parse_duration("1.500s"), parse_duration(None)
    (1.5, 0.0)
    """
    return float(text.rstrip("s")) if text else 0.0


def _read_recorded_duration(value: object) -> str | None:
    return value if isinstance(value, str) and parse_duration(value) else None


def _read_produced_duration(value: Duration) -> str | None:
    return value.ToJsonString() if value.seconds or value.nanos else None


def payload_from_proto(proto: ProtoPayload) -> Payload:
    """Return the engine-neutral value of a payload proto."""
    return Payload(proto.data, dict(proto.metadata))


def _read_recorded_payloads(value: object) -> list[Payload] | None:
    if is_payload(value):
        return [payload_from_json(value)]
    listed = value.get("payloads") if isinstance(value, dict) else None
    return [payload_from_json(one) for one in listed if is_payload(one)] if listed else None


def _read_produced_payloads(value: Payloads | Iterable[ProtoPayload]) -> list[Payload] | None:
    listed = value.payloads if isinstance(value, Payloads) else value
    return [payload_from_proto(one) for one in listed] or None


def _read_recorded_payload(value: object) -> Payload | None:
    found = _read_recorded_payloads(value)
    return found[0] if found else None


def _read_produced_payload(value: ProtoPayload) -> Payload | None:
    return payload_from_proto(value) if value.metadata or value.data else None


def _read_recorded_map(value: object) -> dict[str, Payload] | None:
    held = value.get("fields") or value.get("indexedFields") if isinstance(value, dict) else None
    return {key: payload_from_json(one) for key, one in held.items() if is_payload(one)} if held else None


def _read_produced_map(value: Any) -> dict[str, Payload] | None:
    held = value
    for name in ("fields", "indexed_fields"):
        if isinstance(value, Message) and name in value.DESCRIPTOR.fields_by_name:
            held = getattr(value, name)
    return {key: payload_from_proto(one) for key, one in held.items()} or None


def _none_if_empty(value: object) -> object:
    return value or None


def _read_name(value: object) -> object:
    return (value.get("name") if isinstance(value, dict) else value) or None


def _read_workflow_id(value: Any) -> object:
    if value is None:
        return None
    return (value.get("workflowId") if isinstance(value, dict) else value.workflow_id) or None


def _message_to_json(value: object) -> Any:
    """Return a small message as its recorded JSON would be."""
    return MessageToDict(value) or None if isinstance(value, Message) else (value or None)


_RETRY_DEFAULTS = {"initialInterval": "1s", "backoffCoefficient": 2.0}


def fill_retry_policy(value: object) -> dict[str, Any]:
    """Return a retry policy with the server's defaults, also where the code gives none."""
    given = {key: one for key, one in (_message_to_json(value) or {}).items() if one not in (0, "0s", [])}
    filled = {**_RETRY_DEFAULTS, **given}
    filled.setdefault("maximumInterval", format_duration(100 * parse_duration(filled["initialInterval"])))
    return filled


def _fill_child_retry_policy(value: object) -> dict[str, Any] | None:
    """Return a child's retry policy: unlike an activity, a child without one is not retried."""
    return fill_retry_policy(value) if _message_to_json(value) else None


# These differ between any two processes, or no replay knows them. They do not describe the failure.
_FAILURE_NOISE = {"stackTrace", "source", "encodedAttributes", "identity", "namespace", "runId"}


def strip_failure_noise(value: object) -> object:
    """Return a failure without the fields that differ between any two processes; its details become payloads."""
    return _strip_noise(_message_to_json(value))


def _strip_noise(value: object) -> object:
    if is_payload(value):
        return payload_from_json(value)
    if isinstance(value, dict):
        return {
            key: _strip_noise(one) for key, one in value.items() if key not in _FAILURE_NOISE and one not in (False, "")
        } or None
    if isinstance(value, list):
        return [_strip_noise(one) for one in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _read_recorded_outcome(value: object) -> dict[str, object] | None:
    if not isinstance(value, dict):
        return None
    if "failure" in value:
        return {"failure": strip_failure_noise(value["failure"])}
    return {"success": _read_recorded_payload(value.get("success"))}


def _read_recorded_reason(value: object) -> str | None:
    """Return the code's own reason: sdk-core puts a sentence before that of a cancel of another workflow."""
    return _REASON_START.sub("", value) or None if isinstance(value, str) else None


_REASON_START = re.compile(r"^Cancel requested by workflow with run id \S+ with reason: ")
TEXT = FieldReader(_none_if_empty, _none_if_empty)
REASON = FieldReader(_read_recorded_reason, _none_if_empty)
NAMED = FieldReader(_read_name, _none_if_empty)
DURATION = FieldReader(_read_recorded_duration, _read_produced_duration)
PAYLOADS = FieldReader(_read_recorded_payloads, _read_produced_payloads)
SINGLE = FieldReader(_read_recorded_payload, _read_produced_payload)
PAYLOAD_MAP = FieldReader(_read_recorded_map, _read_produced_map)
TEXT_MAP = FieldReader(_none_if_empty, lambda value: dict(value) or None)
RETRY = FieldReader(fill_retry_policy, fill_retry_policy)
CHILD_RETRY = FieldReader(_fill_child_retry_policy, _fill_child_retry_policy)
FAILURE = FieldReader(strip_failure_noise, strip_failure_noise)
PLAIN = FieldReader(_message_to_json, _message_to_json)
EXECUTION = FieldReader(_read_workflow_id, _read_workflow_id)
OUTCOME = FieldReader(_read_recorded_outcome, lambda value: None)


def make_enum_reader(enum: Any, default: str) -> FieldReader:
    """Return a reader for an enumeration: by name on both sides, and None for the server's default."""

    def read_enum_name(value: Any) -> str | None:
        found = enum.Name(value) if isinstance(value, int) else value
        return None if not found or found == default or found.endswith("_UNSPECIFIED") else found

    return FieldReader(read_enum_name, read_enum_name)


def drop_none_values(fields: Mapping[str, V | None]) -> dict[str, V]:
    """Return the fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}
