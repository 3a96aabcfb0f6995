"""What a run was doing at each of its events, as far as the record alone tells: no code is replayed for this.

Nothing is stepped. Whatever the run waited for is one `Work` with the events between which it was open, so that the
state at an event is looked up and not computed: forwards and backwards cost the same, and cannot disagree.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from replaytool.engines.temporal.events.pending_work import (
    CLOSED,
    PendingItem,
    ReceivedMessage,
    TrackedWork,
    WorkflowTask,
    WorkRecord,
    read_pending_work,
)
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event

__all__ = [
    "Change",
    "Difference",
    "PendingItem",
    "ReceivedMessage",
    "Segment",
    "State",
    "Timeline",
    "WorkflowTask",
    "failed",
    "read",
]

_UNTOLD = ("WorkflowTask", "ActivityTaskStarted", "WorkflowExecutionOptionsUpdated")
_FAILURES = ("Failed", "TimedOut", "Terminated")
_EVERY = 256
"""Events from one list of what is open to the next: few enough to look through, so that few lists are kept."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the run whose tasks one build ran."""

    first: int
    last: int
    build_id: str | None


@dataclass(frozen=True, slots=True)
class State:
    """The recorded side of a run at one event."""

    event_id: int
    event_type: str
    name: str
    event_time: str | None
    status: str
    build_id: str | None
    """The build that ran the newest task that had started by then."""
    task: WorkflowTask | None
    task_status: str | None
    issued_by: int | None
    """The WorkflowTaskCompleted whose code asked for this event."""
    consumed_by: int | None
    """The WorkflowTaskCompleted in which the code saw this event."""
    pending: tuple[PendingItem, ...]
    signals: tuple[ReceivedMessage, ...]
    updates: tuple[PendingItem, ...]
    search_attributes: Mapping[str, Any]
    memo: Mapping[str, Any]

    @property
    def unhandled(self) -> list[ReceivedMessage]:
        """Signals that no task had seen."""
        return [one for one in self.signals if not one.was_handled_at(self.event_id)]

    def as_json(self) -> dict[str, Any]:
        """Plain data, as `debug --json` writes it."""
        plain = asdict(self)
        for one, signal in zip(plain["signals"], self.signals, strict=True):
            one["handled"] = signal.was_handled_at(self.event_id)
        return plain


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not what it was: the build, the status, a search attribute, a memo."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """From one event to another; backwards, what was closed is open again."""

    before: int
    after: int
    opened: tuple[PendingItem, ...]
    closed: tuple[PendingItem, ...]
    """Each as it stood when it closed."""
    passed: tuple[PendingItem, ...]
    """Both opened and closed on the way."""
    moved: tuple[tuple[PendingItem, PendingItem], ...]
    received: tuple[ReceivedMessage, ...]
    handled: tuple[ReceivedMessage, ...]
    changes: tuple[Change, ...]


def failed(event_type: str) -> bool:
    """Whether an event of this type says that something went wrong."""
    return event_type.endswith(_FAILURES)


def read(events: Sequence[Event], readable: Callable[[Any], Any] | None = None) -> Timeline:
    """The timeline of a run; `readable` decodes the payloads of memo and search attributes."""
    return Timeline(events, read_pending_work(events, readable))


class Timeline:
    """One run, to be asked about any of its events."""

    def __init__(self, events: Sequence[Event], found: WorkRecord) -> None:
        if not events:
            raise ReplaytoolError("the run has no events", "load its history again")
        self.events = events
        self.names = found.names
        self.tasks = found.tasks
        self.segments = tuple(_segments(events, found.tasks))
        self._record = found
        self._ids = [event.event_id for event in events]
        self._opened = [work.opening_event_id for work in found.works]
        self._open_before = _lists_of_open(self._ids, found.works)
        self._received = [one.event_id for one in found.received]
        self._task_starts = [task.scheduled for task in found.tasks]
        self._ran = [task for task in found.tasks if task.started is not None and task.build_id]
        self._completed = [task for task in found.tasks if task.outcome == "Completed"]

    @property
    def first(self) -> int:
        """The id of the first event; a cut history may begin late."""
        return self._ids[0]

    @property
    def last(self) -> int:
        """The id of the last event."""
        return self._ids[-1]

    def index(self, event_id: int) -> int:
        """Where the event stands in the list, or a complaint that it is not there."""
        index = bisect_left(self._ids, event_id)
        if index == len(self._ids) or self._ids[index] != event_id:
            raise ReplaytoolError(f"the run has no event {event_id}", f"its events are {self.first} to {self.last}")
        return index

    def at(self, event_id: int) -> State:
        """The run just after this event."""
        index = self.index(event_id)
        event, said = self.events[index], self._record
        task = self.task_at(event_id)
        updates = (work.view_at(event_id) for work in said.updates if work.opening_event_id <= event_id)
        return State(
            event_id, event.event_type, self.names[index], event.event_time, self._status(event_id),
            self.build_at(event_id), task, task.status_at(event_id) if task else None,
            self.issued_by(event_id), self.consumed_by(event_id), self._pending(index, event_id),
            tuple(said.received[: bisect_right(self._received, event_id)]), tuple(updates),
            _version(said.search_attributes, event_id), _version(said.memo, event_id),
        )  # fmt: skip

    def between(self, before: int, after: int) -> Difference:
        """What is different at the second event; it may stand before the first."""
        one, other = self.at(before), self.at(after)
        low, high = sorted((before, after))
        was, now = ({view.since: view for view in (*state.pending, *state.updates)} for state in (one, other))
        return Difference(
            before, after,
            tuple(view for since, view in now.items() if since not in was),
            tuple(self._ended(view, after) for since, view in was.items() if since not in now),
            tuple(self._passed(low, high)),
            tuple((view, now[since]) for since, view in was.items() if since in now and now[since] != view),
            self._record.received[bisect_right(self._received, low) : bisect_right(self._received, high)],  # type: ignore[arg-type]
            tuple(one for one in self._record.received if one.handled_by and low < one.handled_by <= high),
            tuple(_changes(one, other)),
        )  # fmt: skip

    def task_at(self, event_id: int) -> WorkflowTask | None:
        """The newest workflow task that was scheduled by then."""
        index = bisect_right(self._task_starts, event_id)
        return self.tasks[index - 1] if index else None

    def build_at(self, event_id: int) -> str | None:
        """Who ran the newest task that had started by then."""
        index = bisect_right(self._ran, event_id, key=lambda task: task.started or 0)
        return self._ran[index - 1].build_id if index else None

    def issued_by(self, event_id: int) -> int | None:
        """The task that asked for this event, where code did."""
        return self._record.issued.get(event_id)

    def consumed_by(self, event_id: int) -> int | None:
        """The task that told the code about this event; a task's own events and its commands are told to nobody."""
        event_type = self.events[self.index(event_id)].event_type
        if event_id in self._record.issued or event_type.startswith(_UNTOLD) or event_type in CLOSED:
            return None
        index = bisect_right(self._completed, event_id, key=lambda task: task.started or task.closed or 0)
        return self._completed[index].closed if index < len(self._completed) else None

    def _status(self, event_id: int) -> str:
        closed = self._record.closed
        return closed[1] if closed and event_id >= closed[0] else "Running"

    def _pending(self, index: int, event_id: int) -> tuple[PendingItem, ...]:
        works, block = self._record.works, index // _EVERY
        since = bisect_left(self._opened, self._ids[block * _EVERY])
        until = bisect_right(self._opened, event_id)
        candidates = (*self._open_before[block], *works[since:until])
        return tuple(work.view_at(event_id) for work in candidates if work.is_open_at(event_id))

    def _passed(self, low: int, high: int) -> Iterator[PendingItem]:
        for work in self._record.works[bisect_right(self._opened, low) : bisect_right(self._opened, high)]:
            if work.closed is not None and work.closed <= high:
                yield work.views[-1]

    def _ended(self, view: PendingItem, after: int) -> PendingItem:
        """As it stood when it closed; on the way back it has not begun, and stays as it was."""
        if after < view.since:
            return view
        index = bisect_left(self._opened, view.since)
        return self._record.works[index].views[-1]


def _lists_of_open(ids: Sequence[int], works: Sequence[TrackedWork]) -> list[tuple[TrackedWork, ...]]:
    """For each block of events, what was open before it."""
    lists: list[tuple[TrackedWork, ...]] = []
    still: list[TrackedWork] = []
    taken = 0
    for start in range(0, len(ids), _EVERY):
        while taken < len(works) and works[taken].opening_event_id < ids[start]:
            still.append(works[taken])
            taken += 1
        still = [work for work in still if work.closed is None or work.closed >= ids[start]]
        lists.append(tuple(still))
    return lists


def _segments(events: Sequence[Event], tasks: Sequence[WorkflowTask]) -> Iterator[Segment]:
    """Each build's stretch begins with the start of its first task; what lies before any task is the first one's."""
    first, build = events[0].event_id, None
    for task in tasks:
        if task.started is None or task.build_id is None or task.build_id == build:
            continue
        if build is not None:
            yield Segment(first, task.started - 1, build)
            first = task.started
        build = task.build_id
    yield Segment(first, events[-1].event_id, build)


def _version(versions: Sequence[tuple[int, Mapping[str, Any]]], event_id: int) -> Mapping[str, Any]:
    index = bisect_right(versions, event_id, key=lambda version: version[0])
    return versions[index - 1][1] if index else {}


def _changes(one: State, other: State) -> Iterator[Change]:
    for what, before, after in (("status", one.status, other.status), ("build", one.build_id, other.build_id)):
        if before != after:
            yield Change(what, before, after)
    for what, was, now in (
        ("search attribute", one.search_attributes, other.search_attributes),
        ("memo", one.memo, other.memo),
    ):
        for key in sorted(was.keys() | now.keys()):
            if was.get(key) != now.get(key):
                yield Change(f"{what} {key}", was.get(key), now.get(key))
