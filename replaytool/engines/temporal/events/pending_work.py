"""Read from a run's events what the run waited for, and when each wait began, changed and ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.labels import Attributes, find_update_request, name_events, parse_event_id
from replaytool.engines.temporal.events.payloads import PayloadDecoder
from replaytool.engines.temporal.events.workflow_tasks import is_hidden_type
from replaytool.model.history import Event
from replaytool.model.pending_work import PendingItem, ReceivedMessage, TrackedWork, WorkflowTask, WorkRecord

_NOTES = {"attempt": "attempt {}", "startToFireTimeout": "{}"}


def read_pending_work(events: Sequence[Event], readable: Callable[[object], Any] | None = None) -> WorkRecord:
    """Read the pending work of a run in one pass over its events."""
    reading = _WorkReader(readable or PayloadDecoder().make_readable)
    for event, name, found in name_events(events):
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

    readable: Callable[[object], Any]
    names: list[str] = field(default_factory=list)
    works: dict[int, _WorkBuilder] = field(default_factory=dict)
    updates: dict[int, _WorkBuilder] = field(default_factory=dict)
    admitted: dict[str, int] = field(default_factory=dict)
    accepted: dict[int, int] = field(default_factory=dict)
    received: list[ReceivedMessage] = field(default_factory=list)
    tasks: list[WorkflowTask] = field(default_factory=list)
    issued: dict[int, int] = field(default_factory=dict)
    search_attributes: list[tuple[int, Attributes]] = field(default_factory=list)
    memo: list[tuple[int, Attributes]] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    hidden: set[int] = field(default_factory=set)

    def read_event(self, event: Event, name: str, found: Attributes) -> None:
        kind = event.event_type
        if is_hidden_type(kind):
            self.hidden.add(event.event_id)
        if issuer := parse_event_id(found.get("workflowTaskCompletedEventId")):
            self.issued[event.event_id] = issuer
        if kind in types.OPENS:
            self._open_work(event.event_id, kind, name, found)
        elif kind in types.MOVES:
            self._move_work(event.event_id, kind, found)
        elif kind.startswith(types.TASK):
            self._read_task(event, found)
        elif kind.startswith(types.UPDATE):
            self._read_update(event.event_id, kind.removeprefix(types.UPDATE), name, found)
        elif kind in types.RECEIVED:
            shown = types.RECEIVED[kind]
            self.received.append(ReceivedMessage(event.event_id, shown, name or shown, None))
        elif kind in types.CLOSING_STATUS:
            self.closed = (event.event_id, types.CLOSING_STATUS[kind])
        if kind in types.PROPERTIES:
            self._read_properties(event.event_id, found)

    def _open_work(self, event_id: int, kind: str, name: str, found: Attributes) -> None:
        opening = types.OPENS[kind]
        key = found.get(opening.key)
        key = str((key.get("workflowId", "") if isinstance(key, dict) else key) or "")
        view = PendingItem(opening.kind, name or key, key, event_id, opening.status, event_id, _describe_note(found))
        self.works[event_id] = _WorkBuilder([view])

    def _move_work(self, event_id: int, kind: str, found: Attributes) -> None:
        key, status, closes = types.MOVES[kind]
        work = self.works.get(parse_event_id(found.get(key)))
        if work is not None:
            work.add_view(event_id, status, _describe_note(found), closes=closes)

    def _read_task(self, event: Event, found: Attributes) -> None:
        step = event.event_type.removeprefix(types.TASK)
        if step == "Scheduled" or not self.tasks:
            self.tasks.append(WorkflowTask(len(self.tasks) + 1, event.event_id))
        task = self.tasks[-1]
        if step == "Started":
            self.tasks[-1] = replace(task, started=event.event_id, build_id=event.build_id or task.build_id)
        elif step in types.ENDINGS:
            cause = str(found.get("cause") or "").removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")
            self.tasks[-1] = replace(
                task, closed=event.event_id, outcome=step, cause=cause, build_id=event.build_id or task.build_id
            )

    def _read_update(self, event_id: int, step: str, name: str, found: Attributes) -> None:
        request = find_update_request(found)
        key = str(found.get("protocolInstanceId") or (request.get("meta") or {}).get("updateId", ""))
        # The history names no issuer for an update: it is the task that closed just before.
        if step != "Admitted" and self.tasks and self.tasks[-1].closed:
            self.issued[event_id] = self.tasks[-1].closed
        if step == "Completed":
            opener = self.accepted.get(parse_event_id(found.get("acceptedEventId")), 0)
            step = "Failed" if "failure" in (found.get("outcome") or {}) else step
        else:
            # Only an update that a reset re-applied has an Admitted event. The first event of any other is Accepted.
            opener = self.admitted.setdefault(key, event_id)
        if step == "Accepted":
            self.accepted[event_id] = opener
        if opener == event_id:
            called = str((request.get("input") or {}).get("name") or name)
            self.updates[opener] = _WorkBuilder([PendingItem("update", called, key, opener, step, event_id)])
        elif opener in self.updates:
            self.updates[opener].add_view(event_id, step, "", closes=step != "Accepted")

    def _read_properties(self, event_id: int, found: Attributes) -> None:
        for versions, key, inner in (
            (self.search_attributes, "searchAttributes", "indexedFields"),
            (self.memo, "memo", "fields"),
            (self.memo, "upsertedMemo", "fields"),
        ):
            new = (found.get(key) or {}).get(inner)
            if new:
                # Upserts add up. A null value, which removes an attribute, is dropped below.
                merged = {**(versions[-1][1] if versions else {}), **self.readable(new)}
                versions.append((event_id, {name: value for name, value in merged.items() if value is not None}))

    def build_record(self) -> WorkRecord:
        works, updates = ([one.build_work() for one in found.values()] for found in (self.works, self.updates))
        return WorkRecord(
            self.names, works, updates, self._assign_handling_tasks(), self.tasks, self.issued,
            self.search_attributes, self.memo, self.closed, frozenset(self.hidden),
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


def _describe_note(found: Attributes) -> str:
    return next((text.format(found[key]) for key, text in _NOTES.items() if found.get(key)), "")
