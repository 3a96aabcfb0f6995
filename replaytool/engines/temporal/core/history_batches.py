"""Cut a history into the batches of events that sdk-core applies before each activation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from replaytool.engines.temporal.events.decoding import (
    DECODERS,
    RECORDS,
    DecodedEvents,
    EventRecord,
    decode_events,
    event_heads,
)
from replaytool.engines.temporal.events.event_structs import TaskCompleted
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS, FINAL_EVENTS
from replaytool.model.history import Event, EventHead

STARTED = "WorkflowExecutionStarted"
TASK_SCHEDULED = "WorkflowTaskScheduled"
TASK_STARTED = "WorkflowTaskStarted"
TASK_COMPLETED = "WorkflowTaskCompleted"
ACCEPTED = "WorkflowExecutionUpdateAccepted"

_AHEAD = frozenset({"MarkerRecorded", ACCEPTED})
_UNFINISHED = frozenset(
    ["WorkflowTaskFailed", "WorkflowTaskTimedOut", "WorkflowExecutionTimedOut", "WorkflowExecutionTerminated"]
)
_MARKS = {
    name: (name in COMMAND_EVENTS, name in COMMAND_EVENTS or name == STARTED, name in FINAL_EVENTS)
    for name in (*COMMAND_EVENTS, *FINAL_EVENTS, STARTED, TASK_STARTED)
}
"""Event types that decide where a batch ends: (is a command, makes the batch count, ends the run)."""
_CONCLUDES_NOTHING = _UNFINISHED | {"WorkflowExecutionCanceled"}


@dataclass(frozen=True, slots=True)
class MalformedHistory:
    """Why a history cannot be replayed: the SDK's replayer hangs on it and gives no verdict."""

    message: str
    event_id: int | None = None


def find_malformation(events: Sequence[Event]) -> MalformedHistory | None:
    """Return why no replay of this history can begin, or None."""
    if not events:
        return MalformedHistory("the history is empty")
    if events[0].event_type != STARTED:
        return MalformedHistory(f"the history begins with {events[0].event_type}", events[0].event_id)
    if len(events) == 1:
        return MalformedHistory("the history holds one event: no task was ever scheduled", events[0].event_id)
    for event, after in itertools.pairwise(events):
        if event.event_type == TASK_STARTED and after.event_type not in _UNFINISHED | {TASK_COMPLETED}:
            return MalformedHistory(
                f"event {event.event_id} starts a task and {after.event_type} follows", after.event_id
            )
    return None


def find_previous_started_id(events: Sequence[EventHead]) -> int:
    """Return the id of the last completed task's start. sdk-core replays up to it and runs new code after it."""
    last = before = 0
    for event, after in zip(events, [*events[1:], None], strict=True):
        if event.event_type == TASK_STARTED and (after is None or after.event_type == TASK_COMPLETED):
            last, before = event.event_id, last
    return before if events[-1].event_type == TASK_STARTED else last


class HistoryBatches:
    """The events of one history, taken batch by batch."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self.heads = event_heads(events)
        """Ids, types and times of the events."""
        self.types = [event.event_type for event in self.heads]
        self.at = 0
        self.records: list[EventRecord | None] = decode_events(events)
        """The decoded events, by place; None where an event was not read yet."""
        self.looks_ahead = not _AHEAD.isdisjoint(self.types)
        """Whether the history holds events that the look-ahead reads."""
        self._ends: dict[tuple[int, int], tuple[int, bool]] = {}
        ids = [event.event_id for event in self.heads]
        self._ascends = ids == sorted(set(ids))
        self._completed = [place for place, name in enumerate(self.types) if name == TASK_COMPLETED]
        self._next_completed = 0

    def read_event(self, place: int) -> EventRecord:
        """Return the decoded event at this place."""
        found = self.records[place]
        if found is None:
            event = self._events[place]
            found = self.records[place] = DECODERS[event.event_type](event.raw)
        return found

    def recorded_event(self, place: int) -> Event:
        """Return the recorded event at this place."""
        return self._events[place]

    def take_next_batch(self, after_id: int) -> tuple[range, bool]:
        """Return the places of the next batch and whether it is the last.

        A single event that is left over counts as nothing, as in sdk-core.
        """
        end, is_complete = self._batch_end(self.at, after_id)
        if not is_complete and end <= self.at:
            return range(0), True
        taken = range(self.at, end + 1)
        self.at = end + 1
        return taken, self.at == len(self.heads)

    def peek_next_batch(self, after_id: int) -> range:
        """Return the places of the batch after the one just taken."""
        if self.at == len(self.heads):
            return range(0)
        return range(self.at, self._batch_end(self.at, after_id)[0] + 1)

    def next_completed_task(self, from_id: int) -> TaskCompleted | None:
        """Return the attributes of the first task completed from this event on, or None."""
        places = self._completed
        while self._next_completed < len(places) and places[self._next_completed] < self.at:
            self._next_completed += 1
        for number in range(self._next_completed, len(places)):
            if self.heads[places[number]].event_id >= from_id:
                found: TaskCompleted | None = self.read_event(places[number]).attributes
                return found
        return None

    def _batch_end(self, at: int, after_id: int) -> tuple[int, bool]:
        key = (at, 0 if self._ascends else after_id)
        if key not in self._ends:
            self._ends.clear()
            self._ends[key] = self._find_batch_end(at, after_id)
        return self._ends[key]

    def _find_batch_end(self, at: int, after_id: int) -> tuple[int, bool]:
        """Return the place where the batch ends, and whether the batch is complete."""
        types, saw_command, is_begun = self.types, False, False
        started: list[int] = []
        for place in range(at, len(types)):
            marks = _MARKS.get(types[place])
            if marks is None or self.heads[place].event_id <= after_id:
                continue
            is_command, begins, is_final = marks
            saw_command |= is_command
            is_begun |= begins
            if is_final:
                return place, True
            if types[place] == TASK_STARTED:
                end = self._end_at_started_task(place, saw_command, is_begun, started)
                if end is not None:
                    return end, True
        return max(len(types) - 1, at), False

    def _end_at_started_task(self, place: int, saw_command: bool, is_begun: bool, started: list[int]) -> int | None:
        """Return where the batch ends if this started task ends it, else None."""
        after, then = (*self.types[place + 1 : place + 3], None, None)[:2]
        if after in _CONCLUDES_NOTHING:
            return None
        started.append(place)
        if after != TASK_COMPLETED or then is None:
            return place if is_begun else None
        if then == TASK_SCHEDULED and not saw_command:
            return None  # a heartbeat task: the workflow got no activation
        return self._end_at_update_request(place, started) if then == ACCEPTED else place

    def _end_at_update_request(self, place: int, started: list[int]) -> int:
        """Return the task whose activation delivers the update: the one that requested it, not the accepting one."""
        accepted = self.read_event(place + 2).attributes
        if accepted is None:
            return place
        before = accepted.accepted_request_sequencing_event_id
        return next((one for one in reversed(started) if self.heads[one].event_id < before), place)


def find_unknown_event(events: Sequence[Event]) -> Event | None:
    """Return the first event of an unknown type, or None."""
    if isinstance(events, DecodedEvents):
        return None  # the decoder already refused unknown types
    return next((event for event in events if event.event_type not in RECORDS), None)
