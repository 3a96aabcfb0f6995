"""Edit a history for "what if": change a result, remove an event, insert an event.

event:12.result={"ok": false}      sets the result of an activity or child, or one value inside it
event:12.failure=no money          makes it fail, without a retry
event:30.input[0]=5                sets the input of a signal or update
event:30                           removes the event
signal:trip=5, update:adjust@40=10, cancel      inserts it at the point, or at an event
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.labels import decode_attributes, find_update_request
from replaytool.engines.temporal.events.rewriting import build_event
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event
from replaytool.model.simulation import EVENT_EDIT, INSERT_EDIT, HistoryEdits

_SET = re.compile(r"event:(\d+)\.([A-Za-z_]\w*)((?:\.\w+|\[\d+\])*)=(.*)", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_RESULTS = (*types.ENDINGS, "Signaled")
_UPDATES = (types.ACCEPTED, types.ADMITTED)
_MESSAGES = (types.SIGNALED, *_UPDATES, types.CANCEL_REQUESTED)


def apply_edits(events: Sequence[Event], edits: HistoryEdits, point: int) -> list[Event]:
    """Return the edited history. Events up to the point cannot be edited."""
    found = {event.event_id: event for event in events}
    for text in edits.set:
        matched = _SET.fullmatch(text)
        if matched is None:
            raise _bad_edit_error("--set", text, "event:12.result=VALUE")
        event = _find_editable_event(found, int(matched[1]), point)
        found[event.event_id] = _set_value(event, matched[2], matched[3], _parse_value(matched[4]))
    for text in edits.drop:
        whole = EVENT_EDIT.fullmatch(text)
        if whole is None:
            raise _bad_edit_error("--drop", text, "event:30")
        event = _find_editable_event(found, int(whole[1]), point)
        if event.event_type == types.TIMER_FIRED:
            raise ReplaytoolError(
                f"event {event.event_id} is a timer, which always fires",
                "change the timer in the code",
                code=ErrorCode.SIMULATE_EDIT_EVENT,
            )
        del found[event.event_id]
    listed = [found[key] for key in sorted(found)]
    more = [
        _insert_event(text, found, point, listed[-1].event_id + 1 + index) for index, text in enumerate(edits.insert)
    ]
    # The last event marks the end of the history, so it stays last.
    return [*listed[:-1], *more, *listed[-1:]]


def _find_editable_event(found: dict[int, Event], event_id: int, point: int) -> Event:
    event = found.get(event_id)
    if event is None:
        raise ReplaytoolError(
            f"the run has no event {event_id}",
            f"its events are {min(found)} to {max(found)}",
            code=ErrorCode.STORE_EVENT_UNKNOWN,
        )
    if event_id <= point:
        raise ReplaytoolError(
            f"event {event_id} is before the point and stays as it is",
            "give an earlier --from",
            code=ErrorCode.SIMULATE_EDIT_BEFORE,
        )
    is_message = event.event_type in _MESSAGES
    if not is_message and not (event.event_type.endswith(_RESULTS) and not event.event_type.startswith("Workflow")):
        raise ReplaytoolError(
            f"event {event_id} ({event.event_type}) cannot be edited",
            "edit a result, a failure, a signal, an update or a cancel request",
            code=ErrorCode.SIMULATE_EDIT_EVENT,
        )
    return event


def _parse_value(text: str) -> object:
    """Parse JSON, or return the text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _set_value(event: Event, name: str, path: str, value: object) -> Event:
    held = decode_attributes(event)
    if name == "failure" and not path:
        return _turn_into_failure(event, held, value)
    where: dict[str, Any] = held
    if name == "input" and event.event_type in _UPDATES:
        where = find_update_request(held).get("input") or {}
    key = "args" if where is not held else name
    values = where.get(key)
    payloads = values.get("payloads") if isinstance(values, dict) else None
    if payloads is None:
        if name not in ("result", "input"):
            raise ReplaytoolError(
                f"event {event.event_id} has no {name}",
                "set result, input or failure",
                code=ErrorCode.SIMULATE_EDIT_EVENT,
            )
        payloads = []
    where[key] = {
        "payloads": _change_payloads(
            payloads, [int(index) if index else step for step, index in _STEP.findall(path)], name, value
        )
    }
    return build_event(event.event_id, event.event_type, held, event.event_time)


def _change_payloads(payloads: list[object], steps: list[str | int], name: str, value: object) -> list[object]:
    """Set all payloads, one payload, or a value inside one."""
    if not steps:
        many = value if name == "input" and isinstance(value, list) else [value]
        return [encode_payload(one) for one in many]
    place = steps.pop(0) if name == "input" and isinstance(steps[0], int) else 0
    if not isinstance(place, int) or place > len(payloads):
        raise ReplaytoolError(
            f"there is no {name}[{place}]", f"{name} has {len(payloads)} values", code=ErrorCode.SIMULATE_EDIT_VALUE
        )
    whole = _decode_json_payload(payloads[place]) if place < len(payloads) else None
    return [*payloads[:place], encode_payload(_set_inside(whole, steps, value)), *payloads[place + 1 :]]


def _set_inside(whole: object, steps: list[str | int], value: object) -> object:
    if not steps:
        return value
    try:
        inner: Any = whole
        for step in steps[:-1]:
            inner = inner[step]
        inner[steps[-1]] = value
    except (KeyError, IndexError, TypeError):
        raise ReplaytoolError(
            f"there is nothing at {''.join(f'[{step!r}]' for step in steps)}",
            f"the value is {whole!r}",
            code=ErrorCode.SIMULATE_EDIT_VALUE,
        ) from None
    return whole


def _decode_json_payload(found: Any) -> object:
    try:
        return json.loads(base64.b64decode(found["data"]))
    except (KeyError, TypeError, ValueError):
        raise ReplaytoolError(
            "the recorded value is not JSON", "set the whole value", code=ErrorCode.SIMULATE_EDIT_VALUE
        ) from None


def encode_payload(value: object) -> dict[str, object]:
    """Encode a value as the default converter does."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return {"metadata": {"encoding": _encode_base64(b"json/plain")}, "data": _encode_base64(text)}


def _encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _turn_into_failure(event: Event, held: dict[str, object], value: object) -> Event:
    for word in types.ENDINGS[:4]:
        if event.event_type.endswith(word) and event.event_type.startswith(("Activity", "Child", "Nexus")):
            kind = event.event_type.removesuffix(word) + "Failed"
            # Retries leave no events: a recorded failure is always the last one, so it must look like that.
            info = {"type": "Simulated", "nonRetryable": True}
            failure = {"message": str(value), "applicationFailureInfo": info}
            kept = {name: one for name, one in held.items() if name not in ("result", "failure")}
            more = {"failure": failure, "retryState": "RETRY_STATE_NON_RETRYABLE_FAILURE"}
            return build_event(event.event_id, kind, {**kept, **more}, event.event_time)
    raise ReplaytoolError(
        f"event {event.event_id} ({event.event_type}) cannot fail",
        "only activities, children and Nexus operations can",
        code=ErrorCode.SIMULATE_EDIT_EVENT,
    )


def _insert_event(text: str, found: dict[int, Event], point: int, event_id: int) -> Event:
    matched = INSERT_EDIT.fullmatch(text)
    if matched is None or (matched[1] != "cancel" and not matched[2]):
        raise _bad_edit_error("--insert", text, "signal:NAME=VALUE")
    at = int(matched[3] or point)
    if at not in found or at < point:
        raise ReplaytoolError(
            f"{text}: event {at} is before the point, event {point}",
            "give an earlier --from",
            code=ErrorCode.SIMULATE_EDIT_BEFORE,
        )
    event_type, made = _INSERTS[matched[1]](matched[2], _parse_arguments(matched[4]), f"inserted-{event_id}")
    return build_event(event_id, event_type, made, found[at].event_time)


def _parse_arguments(text: str | None) -> list[object]:
    """Parse no value, one value, or several: `=[1,2]` is one value, `=*[1,2]` is two."""
    if text is None:
        return []
    value = _parse_value(text.removeprefix("*"))
    return value if text.startswith("*") and isinstance(value, list) else [value]


def _build_signal(name: str, values: list[object], given: str) -> tuple[str, dict[str, object]]:
    return types.SIGNALED, {
        "signalName": name,
        "input": {"payloads": [encode_payload(one) for one in values]},
        "identity": given,
    }


def _build_update(name: str, values: list[object], given: str) -> tuple[str, dict[str, object]]:
    arguments = {"payloads": [encode_payload(one) for one in values]}
    request = {"meta": {"updateId": given}, "input": {"name": name, "args": arguments}}
    # Admitted, not Accepted: the code decides whether to accept it.
    return types.ADMITTED, {"request": request}


def _build_cancel(name: str, values: list[object], given: str) -> tuple[str, dict[str, object]]:
    return types.CANCEL_REQUESTED, {"cause": name or "", "identity": given}


_INSERTS: dict[str, Callable[[str, list[object], str], tuple[str, dict[str, object]]]] = {
    "signal": _build_signal,
    "update": _build_update,
    "cancel": _build_cancel,
}


def _bad_edit_error(option: str, text: str, example: str) -> ReplaytoolError:
    return ReplaytoolError(
        f"{option} {text!r} is not valid", f"write it like {example}", code=ErrorCode.SIMULATE_EDIT_FORM
    )
