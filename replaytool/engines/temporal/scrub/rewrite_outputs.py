"""Write what the code produces into the history: when inputs are replaced, outputs must change with them.

A recorded command is paired with the one that the code produces from the changed history, and the values of the second
are written into the first. Changed IDs are found in the same way.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replaytool.engines.temporal.events.labels import event_attributes, parse_event_id
from replaytool.engines.temporal.events.payloads import is_payload
from replaytool.model.history import Payload
from replaytool.model.verdict import Verdict

_VALUES = ("input", "result", "outcome", "memo", "upsertedMemo", "searchAttributes", "header", "failure", "nexusHeader")
_IDS = ("workflowId", "activityId", "workflowExecution", "updateId")
_ID_KEYS = {"workflowId", "activityId", "updateId", "newExecutionRunId", "timerId", "protocolInstanceId"}


def rewrite_events(
    events: Sequence[dict[str, object]], verdict: Verdict, left: set[tuple[int, str]]
) -> list[dict[str, object]]:
    """Return the events with the code's output; fields in `left` drifted from the start and stay."""
    pairs = {pair.expected.event_id: pair for step in verdict.steps for pair in step.matched}
    result = []
    for event in events:
        number = parse_event_id(event["eventId"])
        pair = pairs.get(number)
        if pair is not None:
            for name in _VALUES:
                made = pair.actual.fields.get(name)
                if made is not None and pair.expected.fields.get(name) != made and (number, name) not in left:
                    event = _set_attribute(event, name, made)
        result.append(event)
    return result


def _set_attribute(event: dict[str, object], name: str, made: object) -> dict[str, object]:
    held = event_attributes(event)
    if name not in held:
        return event
    new = {**held, name: _overlay_values(held[name], made)}
    return {key: new if value is held else value for key, value in event.items()}


def _overlay_values(recorded: object, made: object) -> object:
    """Return the recorded part with the produced values in place of its own."""
    if isinstance(made, Payload):
        return _overlay_payload(recorded, made)
    if isinstance(recorded, dict) and isinstance(made, list):
        listed = recorded.get("payloads")
        if isinstance(listed, list) and len(listed) == len(made):
            return {**recorded, "payloads": list(map(_overlay_values, listed, made))}
        return recorded
    if isinstance(recorded, dict) and isinstance(made, Mapping):
        for name in ("fields", "indexedFields"):
            if isinstance(recorded.get(name), dict):
                return {**recorded, name: _overlay_values(recorded[name], made)}
        return {key: _overlay_values(one, made[key]) if key in made else one for key, one in recorded.items()}
    if isinstance(recorded, list) and isinstance(made, list) and len(recorded) == len(made):
        return list(map(_overlay_values, recorded, made))
    return made if isinstance(made, str) and isinstance(recorded, str) else recorded


def _overlay_payload(recorded: object, made: Payload) -> object:
    if is_payload(recorded):
        return {**recorded, "data": base64.b64encode(made.data).decode()}
    if isinstance(recorded, dict) and len(recorded.get("payloads") or ()) == 1:
        return {**recorded, "payloads": [_overlay_payload(recorded["payloads"][0], made)]}
    return recorded


def find_changed_ids(verdict: Verdict) -> dict[str, str]:
    """Return recorded IDs for which the code now produces others."""
    found: dict[str, str] = {}
    for expected, actual in _matched_fields(verdict):
        for name in _IDS:
            before, after = expected.get(name), actual.get(name)
            if isinstance(before, str) and isinstance(after, str) and before != after:
                found[before] = after
    return found


def _matched_fields(verdict: Verdict) -> Iterator[tuple[Mapping[str, object], Mapping[str, object]]]:
    for step in verdict.steps:
        yield from ((pair.expected.fields, pair.actual.fields) for pair in step.matched)
    parted = verdict.divergence
    if parted is None or parted.expected is None or parted.actual is None:
        return
    if (parted.expected.kind, parted.expected.name) == (parted.actual.kind, parted.actual.name):
        yield parted.expected.fields, parted.actual.fields


def replace_ids(value: object, others: Mapping[str, str], key: str = "") -> Any:
    """Replace IDs wherever the event names them; the user's own values stay."""
    if not others or is_payload(value):
        return value
    if isinstance(value, dict):
        return {name: replace_ids(one, others, name) for name, one in value.items()}
    if isinstance(value, list):
        return [replace_ids(one, others, key) for one in value]
    return replace_id(value, others) if isinstance(value, str) and key in _ID_KEYS else value


def replace_id(text: str, others: Mapping[str, str]) -> str:
    """Replace one ID; if it only contains a changed ID, that part of it, the longest first."""
    if text in others:
        return others[text]
    for before in sorted(others, key=len, reverse=True):
        if before in text:
            return text.replace(before, others[before])
    return text
