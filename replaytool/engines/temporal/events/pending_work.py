"""Read from a run's events what the run waited for, and when each wait began, changed and ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replaytool.engines.temporal.events import labels as deeds
from replaytool.engines.temporal.events import payloads
from replaytool.model.history import Event

CLOSED = {
    "WorkflowExecutionCompleted": "Completed",
    "WorkflowExecutionFailed": "Failed",
    "WorkflowExecutionTimedOut": "TimedOut",
    "WorkflowExecutionCanceled": "Canceled",
    "WorkflowExecutionTerminated": "Terminated",
    "WorkflowExecutionContinuedAsNew": "ContinuedAsNew",
}
_OPENS = {
    "ActivityTaskScheduled": ("activity", "activityId", "Scheduled"),
    "TimerStarted": ("timer", "timerId", "Started"),
    "StartChildWorkflowExecutionInitiated": ("child", "workflowId", "Initiated"),
    "NexusOperationScheduled": ("nexus", "endpoint", "Scheduled"),
    "SignalExternalWorkflowExecutionInitiated": ("signal-out", "signalName", "Initiated"),
    "RequestCancelExternalWorkflowExecutionInitiated": ("cancel-out", "workflowExecution", "Initiated"),
}
_CLOSED, _MOVED = True, False
_SCHEDULED, _STARTED, _INITIATED = "scheduledEventId", "startedEventId", "initiatedEventId"
_MOVES = {
    "ActivityTaskStarted": (_SCHEDULED, "Started", _MOVED),
    "ActivityTaskCancelRequested": (_SCHEDULED, "CancelRequested", _MOVED),
    "ActivityTaskCompleted": (_SCHEDULED, "Completed", _CLOSED),
    "ActivityTaskFailed": (_SCHEDULED, "Failed", _CLOSED),
    "ActivityTaskTimedOut": (_SCHEDULED, "TimedOut", _CLOSED),
    "ActivityTaskCanceled": (_SCHEDULED, "Canceled", _CLOSED),
    "TimerFired": (_STARTED, "Fired", _CLOSED),
    "TimerCanceled": (_STARTED, "Canceled", _CLOSED),
    "ChildWorkflowExecutionStarted": (_INITIATED, "Started", _MOVED),
    "ChildWorkflowExecutionCompleted": (_INITIATED, "Completed", _CLOSED),
    "ChildWorkflowExecutionFailed": (_INITIATED, "Failed", _CLOSED),
    "ChildWorkflowExecutionTimedOut": (_INITIATED, "TimedOut", _CLOSED),
    "ChildWorkflowExecutionCanceled": (_INITIATED, "Canceled", _CLOSED),
    "ChildWorkflowExecutionTerminated": (_INITIATED, "Terminated", _CLOSED),
    "StartChildWorkflowExecutionFailed": (_INITIATED, "StartFailed", _CLOSED),
    "NexusOperationStarted": (_SCHEDULED, "Started", _MOVED),
    "NexusOperationCancelRequested": (_SCHEDULED, "CancelRequested", _MOVED),
    "NexusOperationCompleted": (_SCHEDULED, "Completed", _CLOSED),
    "NexusOperationFailed": (_SCHEDULED, "Failed", _CLOSED),
    "NexusOperationCanceled": (_SCHEDULED, "Canceled", _CLOSED),
    "NexusOperationTimedOut": (_SCHEDULED, "TimedOut", _CLOSED),
    "ExternalWorkflowExecutionSignaled": (_INITIATED, "Delivered", _CLOSED),
    "SignalExternalWorkflowExecutionFailed": (_INITIATED, "Failed", _CLOSED),
    "ExternalWorkflowExecutionCancelRequested": (_INITIATED, "Delivered", _CLOSED),
    "RequestCancelExternalWorkflowExecutionFailed": (_INITIATED, "Failed", _CLOSED),
}
_RECEIVED = {"WorkflowExecutionSignaled": "signal", "WorkflowExecutionCancelRequested": "cancel"}
_PROPERTIES = ("WorkflowExecutionStarted", "UpsertWorkflowSearchAttributes", "WorkflowPropertiesModified")
_UPDATE = "WorkflowExecutionUpdate"
_ENDS_OF_TASKS = ("Completed", "Failed", "TimedOut")
_NOTES = {"attempt": "attempt {}", "startToFireTimeout": "{}"}


@dataclass(frozen=True, slots=True)
class PendingItem:
    """What a run waits for, as of some event."""

    kind: str
    """activity, timer, child, nexus, signal-out or cancel-out; update if a caller waits for the run."""
    name: str
    key: str
    """The engine's ID: an activity ID, timer ID, workflow ID or update ID."""
    since: int
    """The event that opened it."""
    status: str
    changed: int
    """The event that gave it this status."""
    note: str = ""
    """The attempt of an activity, or the duration of a timer."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A signal or cancel request, and the workflow task in which the code saw it."""

    event_id: int
    kind: str
    name: str
    handled_by: int | None
    """The WorkflowTaskCompleted of that task. None if no later task completed."""

    def was_handled_at(self, event_id: int) -> bool:
        """Return whether the code had seen it by this event."""
        return self.handled_by is not None and self.handled_by <= event_id


@dataclass(frozen=True, slots=True)
class WorkflowTask:
    """One workflow task: the code ran in it."""

    ordinal: int
    scheduled: int
    started: int | None = None
    closed: int | None = None
    outcome: str | None = None
    build_id: str | None = None
    cause: str = ""

    def status_at(self, event_id: int) -> str:
        """Return Scheduled, Started, or the outcome."""
        if self.closed is not None and self.closed <= event_id:
            return self.outcome or "Closed"
        return "Started" if self.started is not None and self.started <= event_id else "Scheduled"


@dataclass(frozen=True, slots=True)
class TrackedWork:
    """The history of one wait. All states that show it share its views."""

    views: tuple[PendingItem, ...]
    closed: int | None

    @property
    def opening_event_id(self) -> int:
        """The first event about it."""
        return self.views[0].changed

    def view_at(self, event_id: int) -> PendingItem:
        """Return how it stood at this event."""
        shown = self.views[0]
        for view in self.views[1:]:
            if view.changed > event_id:
                break
            shown = view
        return shown

    def is_open_at(self, event_id: int) -> bool:
        """Return whether the run still waited for it after this event."""
        return self.opening_event_id <= event_id and (self.closed is None or self.closed > event_id)


@dataclass(frozen=True, slots=True)
class WorkRecord:
    """All waits, messages and tasks of a run, each list in the order of the events."""

    names: Sequence[str]
    works: Sequence[TrackedWork]
    updates: Sequence[TrackedWork]
    received: Sequence[ReceivedMessage]
    tasks: Sequence[WorkflowTask]
    issued: Mapping[int, int]
    search_attributes: Sequence[tuple[int, Mapping[str, Any]]]
    memo: Sequence[tuple[int, Mapping[str, Any]]]
    closed: tuple[int, str] | None


def read_pending_work(events: Sequence[Event], readable: Callable[[Any], Any] | None = None) -> WorkRecord:
    """Read the pending work of a run in one pass over its events."""
    reading = _WorkReader(readable or payloads.PayloadDecoder().make_readable)
    for event, name, found in deeds.name_events(events):
        reading.names.append(name)
        reading.read_event(event, name, found)
    return reading.build_record()


@dataclass
class _WorkBuilder:
    """A `TrackedWork` that is still being read."""

    views: list[PendingItem]
    closed: int | None = None

    def add_view(self, event_id: int, status: str, note: str, *, closes: bool) -> None:
        last = self.views[-1]
        self.views.append(replace(last, status=status, changed=event_id, note=note or last.note))
        if closes and self.closed is None:
            self.closed = event_id

    def build_work(self) -> TrackedWork:
        return TrackedWork(tuple(self.views), self.closed)


@dataclass
class _WorkReader:
    """Collects a `WorkRecord` from events."""

    readable: Callable[[Any], Any]
    names: list[str] = field(default_factory=list)
    works: dict[int, _WorkBuilder] = field(default_factory=dict)
    updates: dict[int, _WorkBuilder] = field(default_factory=dict)
    admitted: dict[str, int] = field(default_factory=dict)
    accepted: dict[int, int] = field(default_factory=dict)
    received: list[ReceivedMessage] = field(default_factory=list)
    tasks: list[WorkflowTask] = field(default_factory=list)
    issued: dict[int, int] = field(default_factory=dict)
    search_attributes: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    memo: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    closed: tuple[int, str] | None = None

    def read_event(self, event: Event, name: str, found: Mapping[str, Any]) -> None:
        kind = event.event_type
        if issuer := _parse_id(found.get("workflowTaskCompletedEventId")):
            self.issued[event.event_id] = issuer
        if kind in _OPENS:
            self._open_work(event.event_id, kind, name, found)
        elif kind in _MOVES:
            self._move_work(event.event_id, kind, found)
        elif kind.startswith("WorkflowTask"):
            self._read_task(event, found)
        elif kind.startswith(_UPDATE):
            self._read_update(event.event_id, kind.removeprefix(_UPDATE), name, found)
        elif kind in _RECEIVED:
            self.received.append(ReceivedMessage(event.event_id, _RECEIVED[kind], name or _RECEIVED[kind], None))
        elif kind in CLOSED:
            self.closed = (event.event_id, CLOSED[kind])
        if kind in _PROPERTIES:
            self._read_properties(event.event_id, found)

    def _open_work(self, event_id: int, kind: str, name: str, found: Mapping[str, Any]) -> None:
        shown, key, status = _OPENS[kind]
        called = found.get(key)
        called = called.get("workflowId", "") if isinstance(called, dict) else called
        view = PendingItem(
            shown, name or str(called or ""), str(called or ""), event_id, status, event_id, _describe_note(found)
        )
        self.works[event_id] = _WorkBuilder([view])

    def _move_work(self, event_id: int, kind: str, found: Mapping[str, Any]) -> None:
        key, status, closes = _MOVES[kind]
        growing = self.works.get(_parse_id(found.get(key)))
        if growing is not None:
            growing.add_view(event_id, status, _describe_note(found), closes=closes)

    def _read_task(self, event: Event, found: Mapping[str, Any]) -> None:
        step = event.event_type.removeprefix("WorkflowTask")
        if step == "Scheduled" or not self.tasks:
            self.tasks.append(WorkflowTask(len(self.tasks) + 1, event.event_id))
        task = self.tasks[-1]
        if step == "Started":
            self.tasks[-1] = replace(task, started=event.event_id, build_id=event.build_id or task.build_id)
        elif step in _ENDS_OF_TASKS:
            cause = str(found.get("cause") or "").removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")
            self.tasks[-1] = replace(
                task, closed=event.event_id, outcome=step, cause=cause, build_id=event.build_id or task.build_id
            )

    def _read_update(self, event_id: int, step: str, name: str, found: Mapping[str, Any]) -> None:
        """Take the task that closed just before as the issuer: the history names none for an update."""
        request = found.get("request") or found.get("acceptedRequest") or {}
        key = str(found.get("protocolInstanceId") or (request.get("meta") or {}).get("updateId", ""))
        if step != "Admitted" and self.tasks and self.tasks[-1].closed:
            self.issued[event_id] = self.tasks[-1].closed
        if step == "Completed":
            opener = self.accepted.get(_parse_id(found.get("acceptedEventId")), 0)
            step = "Failed" if "failure" in (found.get("outcome") or {}) else step
        else:
            opener = self.admitted.setdefault(key, event_id)
        if step == "Accepted":
            self.accepted[event_id] = opener
        if opener == event_id:
            called = str((request.get("input") or {}).get("name") or name)
            self.updates[opener] = _WorkBuilder([PendingItem("update", called, key, opener, step, event_id)])
        elif opener in self.updates:
            self.updates[opener].add_view(event_id, step, "", closes=step != "Accepted")

    def _read_properties(self, event_id: int, found: Mapping[str, Any]) -> None:
        for versions, key, inner in (
            (self.search_attributes, "searchAttributes", "indexedFields"),
            (self.memo, "memo", "fields"),
            (self.memo, "upsertedMemo", "fields"),
        ):
            new = (found.get(key) or {}).get(inner)
            if new:
                merged = {**(versions[-1][1] if versions else {}), **self.readable(new)}
                versions.append((event_id, {name: value for name, value in merged.items() if value is not None}))

    def build_record(self) -> WorkRecord:
        works, updates = ([one.build_work() for one in found.values()] for found in (self.works, self.updates))
        return WorkRecord(
            self.names, works, updates, self._assign_handling_tasks(), self.tasks, self.issued,
            self.search_attributes, self.memo, self.closed,
        )  # fmt: skip

    def _assign_handling_tasks(self) -> list[ReceivedMessage]:
        """Set the task that saw each message: the first completed task that started after it was recorded."""
        done = [task for task in self.tasks if task.outcome == "Completed"]
        handled, index = [], 0
        for one in self.received:
            while index < len(done) and (done[index].started or done[index].closed or 0) < one.event_id:
                index += 1
            handled.append(replace(one, handled_by=done[index].closed if index < len(done) else None))
        return handled


def _describe_note(found: Mapping[str, Any]) -> str:
    return next((text.format(found[key]) for key, text in _NOTES.items() if found.get(key)), "")


def _parse_id(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
