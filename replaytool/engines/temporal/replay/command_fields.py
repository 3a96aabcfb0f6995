"""Readers that bring both halves of a comparison into one vocabulary: recorded JSON, and protos that the code made.

An option that is not there and an option with the value that stands for "not there" are both None, so that what
the server writes out and what the SDK leaves out are equal before anything is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from replaytool.engines.temporal.events.payloads import is_payload, payload_from_json
from replaytool.model.history import Payload


class Reader(NamedTuple):
    """How one field is read on either side."""

    recorded: Callable[[Any], Any]
    produced: Callable[[Any], Any]


def duration_text(seconds: float) -> str | None:
    """A duration as the protocol's JSON writes it.

    >>> duration_text(10), duration_text(1.5), duration_text(0)
    ('10s', '1.500s', None)
    """
    if not seconds:
        return None
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds:.3f}s"


def seconds_of(text: str | None) -> float:
    """How long a recorded duration is; 0 stands for no limit.

    >>> seconds_of("1.500s"), seconds_of(None)
    (1.5, 0.0)
    """
    return float(text.rstrip("s")) if text else 0.0


def _recorded_duration(value: Any) -> str | None:
    return value if isinstance(value, str) and seconds_of(value) else None


def _produced_duration(value: Any) -> str | None:
    return value.ToJsonString() if value.seconds or value.nanos else None


def payload_of(proto: Any) -> Payload:
    """The engine-neutral value of a payload proto."""
    return Payload(proto.data, dict(proto.metadata))


def _recorded_payloads(value: Any) -> Any:
    if is_payload(value):
        return [payload_from_json(value)]
    listed = value.get("payloads") if isinstance(value, dict) else None
    return [payload_from_json(one) for one in listed if is_payload(one)] if listed else None


def _produced_payloads(value: Any) -> Any:
    listed = value.payloads if hasattr(value, "payloads") else value
    return [payload_of(one) for one in listed] or None


def _recorded_single(value: Any) -> Payload | None:
    found = _recorded_payloads(value)
    return found[0] if found else None


def _produced_single(value: Any) -> Payload | None:
    return payload_of(value) if value.metadata or value.data else None


def _recorded_map(value: Any) -> Any:
    held = value.get("fields") or value.get("indexedFields") if isinstance(value, dict) else None
    return {key: payload_from_json(one) for key, one in held.items() if is_payload(one)} if held else None


def _produced_map(value: Any) -> Any:
    held = value
    for name in ("fields", "indexed_fields"):
        if isinstance(value, Message) and name in value.DESCRIPTOR.fields_by_name:
            held = getattr(value, name)
    return {key: payload_of(one) for key, one in held.items()} or None


def _nothing_is_none(value: Any) -> Any:
    return value or None


def _named(value: Any) -> Any:
    return (value.get("name") if isinstance(value, dict) else value) or None


def _execution(value: Any) -> Any:
    if value is None:
        return None
    return (value.get("workflowId") if isinstance(value, dict) else value.workflow_id) or None


def _plain(value: Any) -> Any:
    """A small message in the shape that its recorded JSON has."""
    return MessageToDict(value) or None if isinstance(value, Message) else (value or None)


_RETRY_DEFAULTS = {"initialInterval": "1s", "backoffCoefficient": 2.0}


def retry_policy(value: Any) -> dict[str, Any]:
    """A retry policy with what the server adds to one that leaves something out, or to none at all."""
    given = {key: one for key, one in (_plain(value) or {}).items() if one not in (0, "0s", [])}
    filled = {**_RETRY_DEFAULTS, **given}
    filled.setdefault("maximumInterval", duration_text(100 * seconds_of(filled["initialInterval"])))
    return filled


def _child_retry_policy(value: Any) -> Any:
    """Children are not retried unless they are told to be."""
    return retry_policy(value) if _plain(value) else None


# New in each process, or known to no replay: they tell nothing about what failed.
_FAILURE_NOISE = {"stackTrace", "source", "encodedAttributes", "identity", "namespace", "runId"}


def failure(value: Any) -> Any:
    """A failure without what differs between any two processes; its details as payloads."""
    return _cleaned(_plain(value))


def _cleaned(value: Any) -> Any:
    if is_payload(value):
        return payload_from_json(value)
    if isinstance(value, dict):
        return {
            key: _cleaned(one) for key, one in value.items() if key not in _FAILURE_NOISE and one not in (False, "")
        } or None
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _recorded_outcome(value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    if "failure" in value:
        return {"failure": failure(value["failure"])}
    return {"success": _recorded_single(value.get("success"))}


TEXT = Reader(_nothing_is_none, _nothing_is_none)
NAMED = Reader(_named, _nothing_is_none)
DURATION = Reader(_recorded_duration, _produced_duration)
PAYLOADS = Reader(_recorded_payloads, _produced_payloads)
SINGLE = Reader(_recorded_single, _produced_single)
PAYLOAD_MAP = Reader(_recorded_map, _produced_map)
TEXT_MAP = Reader(_nothing_is_none, lambda value: dict(value) or None)
RETRY = Reader(retry_policy, retry_policy)
CHILD_RETRY = Reader(_child_retry_policy, _child_retry_policy)
FAILURE = Reader(failure, failure)
PLAIN = Reader(_plain, _plain)
EXECUTION = Reader(_execution, _execution)
OUTCOME = Reader(_recorded_outcome, lambda value: None)


def enum_reader(enum: Any, default: str) -> Reader:
    """For an enumeration: by name on both sides, and None for the value that the server assumes."""

    def name(value: Any) -> str | None:
        found = enum.Name(value) if isinstance(value, int) else value
        return None if not found or found == default or found.endswith("_UNSPECIFIED") else found

    return Reader(name, name)


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Only what says something."""
    return {key: value for key, value in fields.items() if value is not None}
