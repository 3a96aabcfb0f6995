"""Histories that a server would write: of a run that was reset, and of one that was continued as new.

A reset keeps the events before the point, fails the task there, and brings back what came from outside: signals,
updates, changes of options, and what became of children that were under way. All of that stands before the next task.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict

from replaytool.engines.temporal.events.decoding import extended, heads, until
from replaytool.engines.temporal.events.labels import attributes
from replaytool.model.history import Event

_RESET = "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
_STARTED, _FAILED = "ActivityTaskStarted", "ActivityTaskFailed"
_ENDS = ("Completed", "Failed", "TimedOut", "Canceled", "Terminated")
_ADMITTED, _ACCEPTED = "WorkflowExecutionUpdateAdmitted", "WorkflowExecutionUpdateAccepted"
_SIGNALED, _OPTIONS = "WorkflowExecutionSignaled", "WorkflowExecutionOptionsUpdated"
_CHILD, _NEXUS = "StartChildWorkflowExecutionInitiated", "NexusOperationScheduled"


@dataclass(frozen=True, slots=True)
class Reset:
    """What is done to a run."""

    point: int
    """The completed workflow task that is undone, with all behind it."""
    base_run_id: str = ""
    new_run_id: str = ""
    exclude: tuple[str, ...] = ()
    """signals, updates."""


def reset(base: Sequence[Event], later: Iterable[Sequence[Event]], how: Reset, time: str) -> Sequence[Event]:
    """The history of the new run, up to the start of its first task."""
    kept = until(base, how.point)
    undone = base[len(kept) + 1 :]
    page = _Page(kept, time)
    cause = {"cause": _RESET, "baseRunId": how.base_run_id, "newRunId": how.new_run_id}
    page.write("WorkflowTaskFailed", {**_ids_of_task(kept), **cause})
    for scheduled, started in _in_flight(kept):
        reason = {"message": "reset", "resetWorkflowFailureInfo": {}}
        ids = {"scheduledEventId": str(scheduled), "startedEventId": str(started)}
        state = "RETRY_STATE_NON_RETRYABLE_FAILURE"
        page.write(_FAILED, {**ids, "failure": reason, "retryState": state, "identity": "history-service"})
    back = _Back(kept, how.exclude)
    for event_type, found in (*back.of_base(undone), *(one for events in later for one in back.of_later(events))):
        page.write(event_type, found)
    page.task()
    return page.events


def continued(before: Sequence[Event], command: Any, run_id: str, new_run_id: str, time: str) -> Sequence[Event]:
    """The history of the run that this command to continue as new begins, up to the start of its first task."""
    found = _attributes(before[0])
    carried = {name: found[name] for name in _CARRIED if name in found}
    asked = MessageToDict(command)
    for name in ("workflowRunTimeout", "workflowTaskTimeout", "retryPolicy", "searchAttributes"):
        if name in asked:
            carried[name] = asked[name]
    more: dict[str, Any] = {
        "workflowType": {"name": command.workflow_type or (found.get("workflowType") or {}).get("name", "")},
        "taskQueue": {"name": command.task_queue or (found.get("taskQueue") or {}).get("name", "")},
        "input": {"payloads": [MessageToDict(one) for one in command.arguments]},
        "continuedExecutionRunId": run_id,
        "originalExecutionRunId": new_run_id,
        "firstExecutionRunId": found.get("firstExecutionRunId") or run_id,
        "initiator": "CONTINUE_AS_NEW_INITIATOR_WORKFLOW",
        "attempt": 1,
    }
    if "memo" in asked:
        more["memo"] = {"fields": asked["memo"]}
    if "headers" in asked:
        more["header"] = {"fields": asked["headers"]}
    page = _Page([], time)
    page.write("WorkflowExecutionStarted", {**carried, **more})
    page.task()
    return page.events


_CARRIED = (
    "parentWorkflowNamespace", "parentWorkflowExecution", "rootWorkflowExecution", "workflowExecutionTimeout",
    "workflowRunTimeout", "workflowTaskTimeout", "workflowExecutionExpirationTime", "memo", "searchAttributes",
    "header", "priority", "identity",
)  # fmt: skip


class _Page:
    """Events written one behind the other."""

    def __init__(self, kept: Sequence[Event], time: str) -> None:
        self._kept = kept
        self._written: list[Event] = []
        self._next_id = len(kept) + 1
        self._time = time

    @property
    def events(self) -> Sequence[Event]:
        return extended(self._kept, self._written)

    def write(self, event_type: str, found: dict[str, Any]) -> None:
        self._written.append(event_of(self._next_id, event_type, found, self._time))
        self._next_id += 1

    def task(self) -> None:
        scheduled = self._next_id
        self.write("WorkflowTaskScheduled", {"attempt": 1})
        self.write("WorkflowTaskStarted", {"scheduledEventId": str(scheduled)})


def event_of(event_id: int, event_type: str, found: dict[str, Any], time: str | None) -> Event:
    """An event with these attributes."""
    name = event_type[0].lower() + event_type[1:] + "EventAttributes"
    spelled = "EVENT_TYPE" + re.sub("([A-Z])", r"_\1", event_type).upper()
    whole = {"eventId": str(event_id), "eventTime": time, "eventType": spelled, name: found}
    return Event(event_id, event_type, time, None, msgspec.json.encode(whole))


class _Back:
    """What comes back, each update once."""

    def __init__(self, kept: Sequence[Event], exclude: tuple[str, ...]) -> None:
        self._exclude = exclude
        self._updates = {_update_id(_attributes(event)) for event in _of(kept, _is_update)}
        self._open = _under_way(kept)

    def of_base(self, events: Sequence[Event]) -> Iterator[tuple[str, dict[str, Any]]]:
        for event in _of(events, lambda kind: kind in _SENT or kind.startswith(_ABOUT)):
            found = _attributes(event)
            if event.event_type in _SENT:
                yield from self._sent(event.event_type, found)
            elif int(found.get("initiatedEventId") or found.get("scheduledEventId") or 0) in self._open:
                yield event.event_type, found

    def of_later(self, events: Sequence[Event]) -> Iterator[tuple[str, dict[str, Any]]]:
        for event in _of(events, _SENT.__contains__):
            yield from self._sent(event.event_type, _attributes(event))

    def _sent(self, event_type: str, found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        if event_type == _OPTIONS or (event_type == _SIGNALED and "signals" not in self._exclude):
            yield event_type, found
        elif event_type in (_ADMITTED, _ACCEPTED) and "updates" not in self._exclude:
            request, update_id = found.get("request") or found.get("acceptedRequest"), _update_id(found)
            if request and update_id not in self._updates:
                self._updates.add(update_id)
                yield _ADMITTED, {"request": request, "origin": "UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY"}


_SENT = frozenset({_SIGNALED, _ADMITTED, _ACCEPTED, _OPTIONS})
_ABOUT = ("ChildWorkflowExecution", "StartChildWorkflowExecutionFailed", "NexusOperation")


def _of(events: Sequence[Event], is_meant: Callable[[str], bool]) -> Iterator[Event]:
    """The events of these types, and no other one touched."""
    return (events[place] for place, head in enumerate(heads(events)) if is_meant(head.event_type))


def _attributes(event: Event) -> dict[str, Any]:
    return attributes(msgspec.json.decode(event.raw))


def _is_update(event_type: str) -> bool:
    return event_type in (_ADMITTED, _ACCEPTED)


def _update_id(found: dict[str, Any]) -> str:
    request = found.get("request") or found.get("acceptedRequest") or {}
    known = (request.get("meta") or {}).get("updateId") or found.get("protocolInstanceId")
    return str(known or "")


def _ids_of_task(kept: Sequence[Event]) -> dict[str, str]:
    """The task under way where the kept part ends."""
    ids: dict[str, str] = {}
    for event in kept[-2:]:
        for name, kind in (("scheduledEventId", "WorkflowTaskScheduled"), ("startedEventId", "WorkflowTaskStarted")):
            if event.event_type == kind:
                ids[name] = str(event.event_id)
    if "startedEventId" in ids and "scheduledEventId" not in ids:
        ids["scheduledEventId"] = str(_attributes(kept[-1]).get("scheduledEventId") or "")
    return ids


def _in_flight(kept: Sequence[Event]) -> list[tuple[int, int]]:
    """Activities whose start the kept part holds, and whose end it does not."""
    found: dict[int, int] = {}
    for event in _of(kept, lambda kind: kind.startswith("ActivityTask")):
        if event.event_type == _STARTED:
            found[int(_attributes(event)["scheduledEventId"])] = event.event_id
        elif event.event_type.endswith(_ENDS):
            found.pop(int(_attributes(event).get("scheduledEventId") or 0), None)
    return sorted(found.items())


def _under_way(kept: Sequence[Event]) -> set[int]:
    """Children and Nexus operations that were begun and not over."""
    found: set[int] = set()
    for event in _of(kept, lambda kind: kind == _CHILD or kind.startswith(_ABOUT)):
        if event.event_type in (_CHILD, _NEXUS):
            found.add(event.event_id)
        elif event.event_type.endswith(_ENDS) and "CancelRequest" not in event.event_type:
            said = _attributes(event)
            found.discard(int(said.get("initiatedEventId") or said.get("scheduledEventId") or 0))
    return found
