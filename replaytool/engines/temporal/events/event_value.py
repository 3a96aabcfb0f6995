"""What an event carried, for one line of a list."""

from __future__ import annotations

from collections.abc import Mapping

_FAILURES = ("failure", "lastFailure")
# In this order: a failed event may also repeat its input, and why it failed says more.
_CARRIERS = ("failure", "input", "result", "acceptedRequest", "outcome", "startToFireTimeout", "details", "lastFailure")


def summarize_event_value(found: Mapping[str, object]) -> object:
    """Return what an event carries, as short as possible."""
    for key in _CARRIERS:
        value = found.get(key)
        if key in _FAILURES and isinstance(value, dict):
            return _deepest_message(value)
        if key == "acceptedRequest" and isinstance(value, dict):
            value = value.get("input", {}).get("args")
        if value is not None:
            return _unwrap_payloads(value)
    return None


def _unwrap_payloads(value: object) -> object:
    values = value.get("payloads") if isinstance(value, dict) and set(value) == {"payloads"} else value
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def read_carried_values(found: Mapping[str, object]) -> str | list[object]:
    """Return the payloads that an event carried, one by one; as text if it is a failure's message or a duration."""
    key = next((key for key in _CARRIERS if found.get(key) is not None), None)
    value: object = found.get(key) if key is not None else []
    if key in _FAILURES and isinstance(value, dict):
        return _deepest_message(value)
    if key == "acceptedRequest" and isinstance(value, dict):
        value = (value.get("input") or {}).get("args")
    if key == "outcome" and isinstance(value, dict):
        value = value.get("success", value.get("failure"))
    if isinstance(value, dict) and set(value) == {"payloads"}:
        value = value["payloads"]
    return value if isinstance(value, str | list) else [] if value is None else [value]


def _deepest_message(failure: dict[str, object]) -> str:
    messages: list[str] = []
    inner: object = failure
    while isinstance(inner, dict) and len(messages) < 20:
        messages.append(str(inner.get("message") or ""))
        inner = inner.get("cause")
    return ": ".join(message for message in messages if message)
