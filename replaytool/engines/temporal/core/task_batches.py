"""A history cut into the pieces that a worker is told at a time, exactly where the SDK's core cuts it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replaytool.engines.temporal.events.decoding import DECODERS, RECORDS, DecodedEvents, decode_events, event_heads
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS, FINAL_EVENTS
from replaytool.model.history import Event

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
"""Where a sequence may end, or what makes it one: whether it is a command, begins something, ends the run."""
_CONCLUDES_NOTHING = _UNFINISHED | {"WorkflowExecutionCanceled"}


@dataclass(frozen=True, slots=True)
class Malformed:
    """A history on which the SDK's replayer hangs: it has no verdict to compare with."""

    message: str
    event_id: int | None = None


def malformed(events: Sequence[Event]) -> Malformed | None:
    """Why no replay of this history can begin, if so."""
    if not events:
        return Malformed("the history is empty")
    if events[0].event_type != STARTED:
        return Malformed(f"the history begins with {events[0].event_type}", events[0].event_id)
    if len(events) == 1:
        return Malformed("the history holds one event: no task was ever scheduled", events[0].event_id)
    for event, after in itertools.pairwise(events):
        if event.event_type == TASK_STARTED and after.event_type not in _UNFINISHED | {TASK_COMPLETED}:
            return Malformed(f"event {event.event_id} starts a task and {after.event_type} follows", after.event_id)
    return None


def previous_started_id(events: Sequence[Event]) -> int:
    """The last task that a worker has completed: up to there the core replays, after it the code is on its own."""
    last = before = 0
    for event, after in zip(events, [*events[1:], None], strict=True):
        if event.event_type == TASK_STARTED and (after is None or after.event_type == TASK_COMPLETED):
            last, before = event.event_id, last
    return before if events[-1].event_type == TASK_STARTED else last


class Tape:
    """The events of one history, with the place up to which they were taken."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self.heads = event_heads(events)
        """The events as far as their ids, types and times go."""
        self.types = [event.event_type for event in self.heads]
        self.at = 0
        self.records = decode_events(events)
        """What was read of each event, by place."""
        self.looks_ahead = not _AHEAD.isdisjoint(self.types)
        """Whether there is anything in it that the code knew before its event was written."""
        self._ends: dict[tuple[int, int], tuple[int, bool]] = {}
        ids = [event.event_id for event in self.heads]
        self._ascends = ids == sorted(set(ids))
        self._completed = [place for place, name in enumerate(self.types) if name == TASK_COMPLETED]
        self._next_completed = 0

    def record(self, place: int) -> Any:
        """What the replay reads of the event there."""
        found = self.records[place]
        if found is None:
            event = self._events[place]
            found = self.records[place] = DECODERS[event.event_type](event.raw)
        return found

    def event(self, place: int) -> Event:
        """The whole event there."""
        return self._events[place]

    def take(self, after_id: int) -> tuple[range, bool]:
        """The places of the next sequence, and whether it is the last; a single event left over counts as none."""
        end, is_complete = self._end(self.at, after_id)
        if not is_complete and end <= self.at:
            return range(0), True
        taken = range(self.at, end + 1)
        self.at = end + 1
        return taken, self.at == len(self.heads)

    def peek(self, after_id: int) -> range:
        """The places of the sequence after the one just taken."""
        if self.at == len(self.heads):
            return range(0)
        return range(self.at, self._end(self.at, after_id)[0] + 1)

    def next_completed(self, from_id: int) -> Any:
        """What the first task completed from here on says, if there is one."""
        places = self._completed
        while self._next_completed < len(places) and places[self._next_completed] < self.at:
            self._next_completed += 1
        for number in range(self._next_completed, len(places)):
            if self.heads[places[number]].event_id >= from_id:
                return self.record(places[number]).attributes
        return None

    def _end(self, at: int, after_id: int) -> tuple[int, bool]:
        key = (at, 0 if self._ascends else after_id)
        if key not in self._ends:
            self._ends.clear()
            self._ends[key] = self._found_end(at, after_id)
        return self._ends[key]

    def _found_end(self, at: int, after_id: int) -> tuple[int, bool]:
        """The place where a sequence ends, and whether it is a complete one."""
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
                end = self._concluded(place, saw_command, is_begun, started)
                if end is not None:
                    return end, True
        return max(len(types) - 1, at), False

    def _concluded(self, place: int, saw_command: bool, is_begun: bool, started: list[int]) -> int | None:
        """Where the sequence ends if this started task ends it."""
        after, then = (*self.types[place + 1 : place + 3], None, None)[:2]
        if after in _CONCLUDES_NOTHING:
            return None
        started.append(place)
        if after != TASK_COMPLETED or then is None:
            return place if is_begun else None
        if then == TASK_SCHEDULED and not saw_command:
            return None  # a heartbeat: the workflow was told nothing
        return self._sequenced(place, started) if then == ACCEPTED else place

    def _sequenced(self, place: int, started: list[int]) -> int:
        """An update runs in the task in which it was sequenced, not in the one that accepted it."""
        accepted = self.record(place + 2).attributes
        if accepted is None:
            return place
        before = accepted.accepted_request_sequencing_event_id
        return next((one for one in reversed(started) if self.heads[one].event_id < before), place)


def unknown(events: Sequence[Event]) -> Event | None:
    """The first event of a type that this engine does not know."""
    if isinstance(events, DecodedEvents):
        return None  # or else it could not have been read
    return next((event for event in events if event.event_type not in RECORDS), None)
