"""Changes to a record, for a "what if": another answer, something that did not come, something that came besides.

event:12.result={"ok": false}      what an activity or a child gave, or one value inside
event:12.failure=no money          it failed instead, for good
event:30.input[0]=5                what a signal or an update carried
event:30                           it did not come
signal:trip=5, update:adjust@40=10, cancel      it came besides, at the point or with an event
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from replaytool.engines.temporal.events.labels import attributes
from replaytool.engines.temporal.events.rewriting import event_of
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event

_EVENT = re.compile(r"event:(\d+)")
_SET = re.compile(r"event:(\d+)\.([A-Za-z_]\w*)((?:\.\w+|\[\d+\])*)=(.*)", re.DOTALL)
_INSERT = re.compile(r"(signal|update|cancel)(?::([^@=]+))?(?:@(\d+))?(?:=(.*))?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_ANSWERS = ("Completed", "Failed", "TimedOut", "Canceled", "Terminated", "Signaled")
_SENT = ("WorkflowExecutionSignaled", "WorkflowExecutionUpdateAccepted", "WorkflowExecutionUpdateAdmitted")


@dataclass(frozen=True, slots=True)
class Edits:
    """All that is different."""

    set: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    insert: tuple[str, ...] = ()

    def first(self) -> int | None:
        """The earliest event that is touched; None where none is named."""
        found = [int(one[1]) for text in (*self.set, *self.drop) if (one := _EVENT.match(text))]
        found += [int(one[3]) for text in self.insert if (one := _INSERT.fullmatch(text)) and one[3]]
        return min(found, default=None)


def edited(events: Sequence[Event], edits: Edits, point: int) -> list[Event]:
    """The record as it would be; what the point keeps cannot be changed."""
    found = {event.event_id: event for event in events}
    for text in edits.set:
        matched = _SET.fullmatch(text)
        if matched is None:
            raise _unclear("--set", text, "event:12.result=VALUE")
        event = _touched(found, int(matched[1]), point)
        found[event.event_id] = _with_value(event, matched[2], matched[3], _value(matched[4]))
    for text in edits.drop:
        whole = _EVENT.fullmatch(text)
        if whole is None:
            raise _unclear("--drop", text, "event:30")
        event = _touched(found, int(whole[1]), point)
        if event.event_type == "TimerFired":
            raise ReplaytoolError(f"event {event.event_id} is a timer: it fires whatever happens", "change the code")
        del found[event.event_id]
    listed = [found[key] for key in sorted(found)]
    more = [_inserted(text, found, point, listed[-1].event_id + 1 + index) for index, text in enumerate(edits.insert)]
    # The last event tells how far the record goes, and stays the last.
    return [*listed[:-1], *more, *listed[-1:]]


def _touched(found: dict[int, Event], event_id: int, point: int) -> Event:
    event = found.get(event_id)
    if event is None:
        raise ReplaytoolError(f"the run has no event {event_id}", f"its events are {min(found)} to {max(found)}")
    if event_id <= point:
        raise ReplaytoolError(f"event {event_id} is in the part that is kept", "give an earlier --from")
    comes = event.event_type in (*_SENT, "WorkflowExecutionCancelRequested")
    if not comes and not (event.event_type.endswith(_ANSWERS) and not event.event_type.startswith("Workflow")):
        raise ReplaytoolError(
            f"event {event_id}, {event.event_type}, is no answer and came from nobody",
            "what can be changed: results and failures, signals, updates, requests to cancel",
        )
    return event


def _value(text: str) -> Any:
    """JSON, or the text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _with_value(event: Event, name: str, path: str, value: Any) -> Event:
    held = attributes(json.loads(event.raw))
    if name == "failure" and not path:
        return _failed(event, held, value)
    where: Any = held
    if name == "input" and event.event_type in _SENT[1:]:
        where = (held.get("acceptedRequest") or held.get("request") or {}).get("input") or {}
    key = "args" if where is not held else name
    payloads = (where.get(key) or {}).get("payloads") if isinstance(where.get(key), dict) else None
    if payloads is None:
        if name not in ("result", "input"):
            raise ReplaytoolError(f"event {event.event_id} has no {name}", "result, input and failure can be set")
        payloads = []
    where[key] = {"payloads": _changed(payloads, [_step(*one) for one in _STEP.findall(path)], name, value)}
    return event_of(event.event_id, event.event_type, held, event.event_time)


def _step(name: str, index: str) -> str | int:
    return int(index) if index else name


def _changed(payloads: list[Any], steps: list[str | int], name: str, value: Any) -> list[Any]:
    """Payloads with a value in them set: all of them, one of them, or something inside one."""
    if not steps:
        many = value if name == "input" and isinstance(value, list) else [value]
        return [payload(one) for one in many]
    place = steps.pop(0) if name == "input" and isinstance(steps[0], int) else 0
    if not isinstance(place, int) or place > len(payloads):
        raise ReplaytoolError(f"there is no {name}[{place}]", f"it has {len(payloads)} values")
    whole = _plain(payloads[place]) if place < len(payloads) else None
    return [*payloads[:place], payload(_within(whole, steps, value)), *payloads[place + 1 :]]


def _within(whole: Any, steps: list[str | int], value: Any) -> Any:
    if not steps:
        return value
    try:
        inner = whole
        for step in steps[:-1]:
            inner = inner[step]
        inner[steps[-1]] = value
    except (KeyError, IndexError, TypeError):
        raise ReplaytoolError(
            f"there is nothing at {''.join(f'[{step!r}]' for step in steps)}", f"the value is {whole!r}"
        ) from None
    return whole


def _plain(found: Any) -> Any:
    try:
        return json.loads(base64.b64decode(found["data"]))
    except (KeyError, TypeError, ValueError):
        raise ReplaytoolError("the recorded value is not JSON", "set it as a whole") from None


def payload(value: Any) -> dict[str, Any]:
    """A value as the default converter writes it."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return {"metadata": {"encoding": _base64(b"json/plain")}, "data": _base64(text)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _failed(event: Event, held: dict[str, Any], value: Any) -> Event:
    for word in _ANSWERS[:4]:
        if event.event_type.endswith(word) and event.event_type.startswith(("Activity", "Child", "Nexus")):
            kind = event.event_type.removesuffix(word) + "Failed"
            info = {"type": "Simulated", "nonRetryable": True}
            failure = {"message": str(value), "applicationFailureInfo": info}
            kept = {name: one for name, one in held.items() if name not in ("result", "failure")}
            more = {"failure": failure, "retryState": "RETRY_STATE_NON_RETRYABLE_FAILURE"}
            return event_of(event.event_id, kind, {**kept, **more}, event.event_time)
    raise ReplaytoolError(f"event {event.event_id}, {event.event_type}, cannot fail", "activities and children can")


def _inserted(text: str, found: dict[int, Event], point: int, event_id: int) -> Event:
    matched = _INSERT.fullmatch(text)
    if matched is None or (matched[1] != "cancel" and not matched[2]):
        raise _unclear("--insert", text, "signal:NAME=VALUE")
    at = int(matched[3] or point)
    if at not in found or at < point:
        raise ReplaytoolError(f"{text}: event {at} is not behind the point, event {point}", "give an earlier --from")
    event_type, made = _INSERTS[matched[1]](matched[2], _arguments(matched[4]), f"inserted-{event_id}")
    return event_of(event_id, event_type, made, found[at].event_time)


def _arguments(text: str | None) -> list[Any]:
    """No value, one value, or several in a list of their own: `=[1,2]` is one, `=*[1,2]` two."""
    if text is None:
        return []
    value = _value(text.removeprefix("*"))
    return value if text.startswith("*") and isinstance(value, list) else [value]


def _signal(name: str, values: list[Any], given: str) -> tuple[str, dict[str, Any]]:
    return _SENT[0], {"signalName": name, "input": {"payloads": [payload(one) for one in values]}, "identity": given}


def _update(name: str, values: list[Any], given: str) -> tuple[str, dict[str, Any]]:
    arguments = {"payloads": [payload(one) for one in values]}
    request = {"meta": {"updateId": given}, "input": {"name": name, "args": arguments}}
    return _SENT[2], {"request": request}


def _cancel(name: str, values: list[Any], given: str) -> tuple[str, dict[str, Any]]:
    return "WorkflowExecutionCancelRequested", {"cause": name or "", "identity": given}


_INSERTS: dict[str, Callable[[str, list[Any], str], tuple[str, dict[str, Any]]]] = {
    "signal": _signal,
    "update": _update,
    "cancel": _cancel,
}


def _unclear(option: str, text: str, example: str) -> ReplaytoolError:
    return ReplaytoolError(f"{option} {text!r} is not understood", f"for example {example}")
