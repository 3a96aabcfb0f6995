"""What an event carried, for one line of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summarize_event_value(found: Mapping[str, Any]) -> Any:
    """Return what an event carries, as short as possible."""
    # In this order: a failed event may also repeat its input, and why it failed says more.
    for key in (
        "failure",
        "input",
        "result",
        "acceptedRequest",
        "outcome",
        "startToFireTimeout",
        "details",
        "lastFailure",
    ):
        value = found.get(key)
        if key in ("failure", "lastFailure") and isinstance(value, dict):
            return _deepest_message(value)
        if key == "acceptedRequest" and isinstance(value, dict):
            value = value.get("input", {}).get("args")
        if value is not None:
            return _unwrap_payloads(value)
    return None


def _unwrap_payloads(value: Any) -> Any:
    values = value.get("payloads") if isinstance(value, dict) and set(value) == {"payloads"} else value
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def _deepest_message(failure: dict[str, Any]) -> str:
    messages: list[str] = []
    inner: Any = failure
    while isinstance(inner, dict) and len(messages) < 20:
        messages.append(str(inner.get("message", "")))
        inner = inner.get("cause")
    return ": ".join(message for message in messages if message)
