"""What the code says, put where the record says it: when the inputs are replaced, so is all that comes of them.

A recorded command and the one that the code produces on the changed record are laid beside each other, and the values
of the second are written into the first. What a record says of ids is told from them too.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replaytool.engines.temporal.events.labels import event_attributes
from replaytool.engines.temporal.events.payloads import is_payload
from replaytool.model.history import Payload
from replaytool.model.verdict import Verdict

_VALUES = ("input", "result", "outcome", "memo", "upsertedMemo", "searchAttributes", "header", "failure", "nexusHeader")
_IDS = ("workflowId", "activityId", "workflowExecution", "updateId")
_ID_KEYS = {"workflowId", "activityId", "updateId", "newExecutionRunId", "timerId", "protocolInstanceId"}


def rewritten(events: Sequence[dict[str, Any]], verdict: Verdict, left: set[tuple[int, str]]) -> list[dict[str, Any]]:
    """The events with what the code produced in them; fields that differed from the first are left as they are."""
    pairs = {pair.expected.event_id: pair for step in verdict.steps for pair in step.matched}
    result = []
    for event in events:
        number = int(event["eventId"])
        pair = pairs.get(number)
        if pair is not None:
            for name in _VALUES:
                made = pair.actual.fields.get(name)
                if made is not None and pair.expected.fields.get(name) != made and (number, name) not in left:
                    event = _with(event, name, made)
        result.append(event)
    return result


def _with(event: dict[str, Any], name: str, made: Any) -> dict[str, Any]:
    held = event_attributes(event)
    if name not in held:
        return event
    new = {**held, name: _laid_over(held[name], made)}
    return {key: new if value is held else value for key, value in event.items()}


def _laid_over(recorded: Any, made: Any) -> Any:
    """The recorded part with the produced values in the places of its own."""
    if isinstance(made, Payload):
        return _single(recorded, made)
    if isinstance(recorded, dict) and isinstance(made, list):
        listed = recorded.get("payloads")
        if isinstance(listed, list) and len(listed) == len(made):
            return {**recorded, "payloads": list(map(_laid_over, listed, made))}
        return recorded
    if isinstance(recorded, dict) and isinstance(made, Mapping):
        for name in ("fields", "indexedFields"):
            if isinstance(recorded.get(name), dict):
                return {**recorded, name: _laid_over(recorded[name], made)}
        return {key: _laid_over(one, made[key]) if key in made else one for key, one in recorded.items()}
    if isinstance(recorded, list) and isinstance(made, list) and len(recorded) == len(made):
        return list(map(_laid_over, recorded, made))
    return made if isinstance(made, str) and isinstance(recorded, str) else recorded


def _single(recorded: Any, made: Payload) -> Any:
    if is_payload(recorded):
        return {**recorded, "data": base64.b64encode(made.data).decode()}
    if isinstance(recorded, dict) and len(recorded.get("payloads") or ()) == 1:
        return {**recorded, "payloads": [_single(recorded["payloads"][0], made)]}
    return recorded


def other_ids(verdict: Verdict) -> dict[str, str]:
    """Ids of the record for which the code now produces others."""
    found: dict[str, str] = {}
    for expected, actual in _sides(verdict):
        for name in _IDS:
            before, after = expected.get(name), actual.get(name)
            if isinstance(before, str) and isinstance(after, str) and before != after:
                found[before] = after
    return found


def _sides(verdict: Verdict) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for step in verdict.steps:
        yield from ((pair.expected.fields, pair.actual.fields) for pair in step.matched)
    parted = verdict.divergence
    if parted is None or parted.expected is None or parted.actual is None:
        return
    if (parted.expected.kind, parted.expected.name) == (parted.actual.kind, parted.actual.name):
        yield parted.expected.fields, parted.actual.fields


def with_ids(value: Any, others: Mapping[str, str], key: str = "") -> Any:
    """The event with ids changed wherever it names them; values of the user's are none of it."""
    if not others or is_payload(value):
        return value
    if isinstance(value, dict):
        return {name: with_ids(one, others, name) for name, one in value.items()}
    if isinstance(value, list):
        return [with_ids(one, others, key) for one in value]
    return id_of(value, others) if isinstance(value, str) and key in _ID_KEYS else value


def id_of(text: str, others: Mapping[str, str]) -> str:
    """One id; where it only contains what is to be changed, that part of it, the longest first."""
    if text in others:
        return others[text]
    for before in sorted(others, key=len, reverse=True):
        if before in text:
            return text.replace(before, others[before])
    return text
