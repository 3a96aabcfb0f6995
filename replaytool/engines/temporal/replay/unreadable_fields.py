"""Find the field of an event that the SDK cannot read, so that a verdict names it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf import json_format
from temporalio.api.history.v1 import HistoryEvent

from replaytool.model.history import Event
from replaytool.text import escape_controls, shorten_text

_FIELD = re.compile(r"Failed to parse (\S+) field: ")
_ATTRIBUTES = "EventAttributes"
_LONGEST_REASON = 160


def find_unreadable_field(events: Sequence[Event]) -> str:
    """Return the event, the field and the reason why the SDK cannot read it; "" if it reads every event."""
    for place, event in enumerate(events, 1):
        try:
            json_format.Parse(event.raw, HistoryEvent(), ignore_unknown_fields=True)
        # Some wrong values leave the parser as another error than its own.
        except (json_format.ParseError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            return _describe_field(event, place, str(error))
    return ""


def _describe_field(event: Event, place: int, error: str) -> str:
    named = [name for name in _FIELD.findall(error) if not name.isdigit()]
    fields = [name for name in named if not name.endswith(_ATTRIBUTES)] or named
    reason = shorten_text(escape_controls(_FIELD.sub("", error)).rstrip("."), _LONGEST_REASON)
    name = f"event {event.event_id or place}, {shorten_text(event.event_type, 60) or 'without a type'}"
    return f"{name}: field {'.'.join(fields)}: {reason}" if fields else f"{name}: {reason}"
