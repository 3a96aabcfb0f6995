"""Write histories as a server would: of a run that was reset, and of a run that was continued as new.

A reset keeps the events before the reset point and fails the workflow task there. Then the server re-applies signals,
updates, changed options, and the results of children that were running at the point. All of these come before the
next workflow task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from google.protobuf.json_format import MessageToDict
from temporalio.bridge.proto.workflow_commands import ContinueAsNewWorkflowExecution

from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.decoding import append_events, select_events, take_events_before
from replaytool.engines.temporal.events.labels import Attributes, decode_attributes, find_update_request
from replaytool.model.history import Event

_RESET = "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"


@dataclass(frozen=True, slots=True)
class ResetRewrite:
    """The reset of one run."""

    point: int
    """The completed workflow task that is undone, with everything after it."""
    base_run_id: str = ""
    new_run_id: str = ""
    exclude: tuple[str, ...] = ()
    """What is not re-applied: signals, updates."""


def rewrite_as_reset(
    base: Sequence[Event], later: Iterable[Sequence[Event]], how: ResetRewrite, time: str
) -> Sequence[Event]:
    """Return the history of the new run, up to the start of its first task."""
    kept = take_events_before(base, how.point)
    # The point itself is not re-applied: the server writes WorkflowTaskFailed with its event ID.
    undone = base[len(kept) + 1 :]
    page = _EventWriter(kept, time)
    cause = {"cause": _RESET, "baseRunId": how.base_run_id, "newRunId": how.new_run_id}
    page.write_event(types.TASK_FAILED, {**_find_open_task_ids(kept), **cause})
    # The server's failInflightActivity: a started activity fails and is not retried. One that is only scheduled is
    # dispatched again.
    for scheduled, started in _find_started_activities(kept):
        reason = {"message": "reset", "resetWorkflowFailureInfo": {}}
        ids = {"scheduledEventId": str(scheduled), "startedEventId": str(started)}
        state = "RETRY_STATE_NON_RETRYABLE_FAILURE"
        page.write_event(
            types.ACTIVITY_FAILED, {**ids, "failure": reason, "retryState": state, "identity": "history-service"}
        )
    back = _ReappliedEvents(kept, how.exclude)
    for event_type, found in (
        *back.select_from_base(undone),
        *(one for events in later for one in back.select_from_later(events)),
    ):
        page.write_event(event_type, found)
    page.write_task_start()
    return page.all_events


def start_continued_history(
    before: Sequence[Event], command: ContinueAsNewWorkflowExecution, run_id: str, new_run_id: str, time: str
) -> Sequence[Event]:
    """Return the history of the run that this continue-as-new command starts, up to the start of its first task."""
    found = decode_attributes(before[0])
    carried = {name: found[name] for name in _CARRIED if name in found}
    asked = MessageToDict(command)
    for name in ("workflowRunTimeout", "workflowTaskTimeout", "retryPolicy", "searchAttributes"):
        if name in asked:
            carried[name] = asked[name]
    more: dict[str, object] = {
        "workflowType": {"name": command.workflow_type or (found.get("workflowType") or {}).get("name", "")},
        "taskQueue": {"name": command.task_queue or (found.get("taskQueue") or {}).get("name", "")},
        "input": {"payloads": [MessageToDict(one) for one in command.arguments]},
        "continuedExecutionRunId": run_id,
        # sdk-core seeds the run's random numbers with this ID.
        "originalExecutionRunId": new_run_id,
        "firstExecutionRunId": found.get("firstExecutionRunId") or run_id,
        "initiator": "CONTINUE_AS_NEW_INITIATOR_WORKFLOW",
        "attempt": 1,
    }
    if "memo" in asked:
        more["memo"] = {"fields": asked["memo"]}
    if "headers" in asked:
        more["header"] = {"fields": asked["headers"]}
    page = _EventWriter([], time)
    page.write_event(types.STARTED, {**carried, **more})
    page.write_task_start()
    return page.all_events


_CARRIED = (
    "parentWorkflowNamespace", "parentWorkflowExecution", "rootWorkflowExecution", "workflowExecutionTimeout",
    "workflowRunTimeout", "workflowTaskTimeout", "workflowExecutionExpirationTime", "memo", "searchAttributes",
    "header", "priority", "identity",
)  # fmt: skip


class _EventWriter:
    """Appends events to a history."""

    def __init__(self, kept: Sequence[Event], time: str) -> None:
        self._kept = kept
        self._written: list[Event] = []
        self._next_id = len(kept) + 1
        self._time = time

    @property
    def all_events(self) -> Sequence[Event]:
        return append_events(self._kept, self._written)

    def write_event(self, event_type: str, found: Attributes) -> None:
        self._written.append(build_event(self._next_id, event_type, found, self._time))
        self._next_id += 1

    def write_task_start(self) -> None:
        scheduled = self._next_id
        self.write_event(types.TASK_SCHEDULED, {"attempt": 1})
        self.write_event(types.TASK_STARTED, {"scheduledEventId": str(scheduled)})


def build_event(event_id: int, event_type: str, found: Attributes, time: str | None) -> Event:
    """Build an event with these attributes."""
    name = event_type[0].lower() + event_type[1:] + "EventAttributes"
    spelled = "EVENT_TYPE" + re.sub("([A-Z])", r"_\1", event_type).upper()
    whole = {"eventId": str(event_id), "eventTime": time, "eventType": spelled, name: found}
    return Event(event_id, event_type, time, None, msgspec.json.encode(whole))


class _ReappliedEvents:
    """Selects the events that a reset re-applies, each update once."""

    def __init__(self, kept: Sequence[Event], exclude: tuple[str, ...]) -> None:
        self._exclude = exclude
        self._updates = {_find_update_id(decode_attributes(event)) for event in select_events(kept, _is_update)}
        self._open = _find_open_operations(kept)

    def select_from_base(self, events: Sequence[Event]) -> Iterator[tuple[str, Attributes]]:
        for event in select_events(events, lambda kind: kind in types.REAPPLIED or kind.startswith(_ABOUT_CHILDREN)):
            found = decode_attributes(event)
            if event.event_type in types.REAPPLIED:
                yield from self._select_sent(event.event_type, found)
            elif int(found.get("initiatedEventId") or found.get("scheduledEventId") or 0) in self._open:
                yield event.event_type, found

    def select_from_later(self, events: Sequence[Event]) -> Iterator[tuple[str, Attributes]]:
        # Not the events about children of later runs: the run that is reset never started these.
        for event in select_events(events, types.REAPPLIED.__contains__):
            yield from self._select_sent(event.event_type, decode_attributes(event))

    def _select_sent(self, event_type: str, found: Attributes) -> Iterator[tuple[str, Attributes]]:
        # The protocol has no exclude type for changed options: the server always re-applies them.
        if event_type == types.OPTIONS_UPDATED or (event_type == types.SIGNALED and "signals" not in self._exclude):
            yield event_type, found
        elif event_type in (types.ADMITTED, types.ACCEPTED) and "updates" not in self._exclude:
            request, update_id = find_update_request(found), _find_update_id(found)
            # The server skips an update whose ID it has. So an update with both events comes back once.
            if request and update_id not in self._updates:
                self._updates.add(update_id)
                yield types.ADMITTED, {"request": request, "origin": "UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY"}


_ABOUT_CHILDREN = (types.CHILD, types.CHILD_START_FAILED, types.NEXUS)


def _is_update(event_type: str) -> bool:
    return event_type in (types.ADMITTED, types.ACCEPTED)


def _find_update_id(found: Attributes) -> str:
    known = (find_update_request(found).get("meta") or {}).get("updateId") or found.get("protocolInstanceId")
    return str(known or "")


def _find_open_task_ids(kept: Sequence[Event]) -> dict[str, str]:
    """Return the event IDs of the workflow task that is open where the kept events end."""
    ids: dict[str, str] = {}
    for event in kept[-2:]:
        for name, kind in (("scheduledEventId", types.TASK_SCHEDULED), ("startedEventId", types.TASK_STARTED)):
            if event.event_type == kind:
                ids[name] = str(event.event_id)
    # A signal can stand between Scheduled and Started; then Scheduled is not among the last two events.
    if "startedEventId" in ids and "scheduledEventId" not in ids:
        ids["scheduledEventId"] = str(decode_attributes(kept[-1]).get("scheduledEventId") or "")
    return ids


def _find_started_activities(kept: Sequence[Event]) -> list[tuple[int, int]]:
    """Return activities that started but did not close in the kept events."""
    found: dict[int, int] = {}
    for event in select_events(kept, lambda kind: kind.startswith(types.ACTIVITY)):
        if event.event_type == types.ACTIVITY_STARTED:
            found[int(decode_attributes(event)["scheduledEventId"])] = event.event_id
        elif event.event_type.endswith(types.ENDINGS):
            found.pop(int(decode_attributes(event).get("scheduledEventId") or 0), None)
    return sorted(found.items())


def _find_open_operations(kept: Sequence[Event]) -> set[int]:
    """Return children and Nexus operations that are open where the kept events end."""
    found: set[int] = set()
    for event in select_events(kept, lambda kind: kind == types.CHILD_INITIATED or kind.startswith(_ABOUT_CHILDREN)):
        if event.event_type in (types.CHILD_INITIATED, types.NEXUS_SCHEDULED):
            found.add(event.event_id)
        # NexusOperationCancelRequestCompleted ends like the end of an operation, but the operation goes on.
        elif event.event_type.endswith(types.ENDINGS) and "CancelRequest" not in event.event_type:
            said = decode_attributes(event)
            found.discard(int(said.get("initiatedEventId") or said.get("scheduledEventId") or 0))
    return found
