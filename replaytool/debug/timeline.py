"""The recorded state of a run at each of its events; no code is replayed.

Nothing is stepped. Each thing that the run waited for is one `TrackedWork` with the events between which it was open,
so the state at an event is looked up. Forward and backward cost the same and cannot disagree.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from replaytool.engines import engine_of
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event
from replaytool.model.pending_work import OpenWorkIndex, PendingItem, ReceivedMessage, WorkflowTask, WorkRecord

__all__ = [
    "BuildSegment",
    "FactChange",
    "PendingItem",
    "ReceivedMessage",
    "RecordedDifference",
    "RecordedState",
    "RunTimeline",
    "WorkflowTask",
    "read_timeline",
]


@dataclass(frozen=True, slots=True)
class BuildSegment:
    """A stretch of the run whose tasks one build ran."""

    first: int
    last: int
    build_id: str | None


@dataclass(frozen=True, slots=True)
class RecordedState:
    """The recorded side of a run at one event."""

    event_id: int
    event_type: str
    name: str
    event_time: str | None
    status: str
    build_id: str | None
    """The build that ran the newest task started by then."""
    task: WorkflowTask | None
    task_status: str | None
    issued_by: int | None
    """The event that completed the task whose code asked for this event."""
    consumed_by: int | None
    """The event that completed the task in which the code saw this event."""
    pending: tuple[PendingItem, ...]
    signals: tuple[ReceivedMessage, ...]
    updates: tuple[PendingItem, ...]
    search_attributes: Mapping[str, object]
    memo: Mapping[str, object]

    @property
    def unhandled_signals(self) -> list[ReceivedMessage]:
        """Signals that no task had seen."""
        return [one for one in self.signals if not one.was_handled_at(self.event_id)]

    def to_json(self) -> dict[str, object]:
        """Return plain data, as `debug --json` prints it."""
        plain = asdict(self)
        for one, signal in zip(plain["signals"], self.signals, strict=True):
            one["handled"] = signal.was_handled_at(self.event_id)
        return plain


@dataclass(frozen=True, slots=True)
class FactChange:
    """One changed fact: the build, the status, a search attribute, a memo field."""

    what: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class RecordedDifference:
    """Changes from one event to another; backward, closed things are open again."""

    before: int
    after: int
    opened: tuple[PendingItem, ...]
    closed: tuple[PendingItem, ...]
    """Each as it was when it closed."""
    passed: tuple[PendingItem, ...]
    """Both opened and closed in between."""
    moved: tuple[tuple[PendingItem, PendingItem], ...]
    received: tuple[ReceivedMessage, ...]
    handled: tuple[ReceivedMessage, ...]
    changes: tuple[FactChange, ...]


def read_timeline(
    engine: str, events: Sequence[Event], readable: Callable[[object], object] | None = None
) -> RunTimeline:
    """Return the timeline of a run; `readable` decodes the payloads of memo and search attributes."""
    return RunTimeline(events, engine_of(engine).record_reader().read_work(events, readable))


class RunTimeline:
    """One run; answers questions about any of its events."""

    def __init__(self, events: Sequence[Event], found: WorkRecord) -> None:
        if not events:
            raise ReplaytoolError("the run has no events", "load its history again", code=ErrorCode.STORE_RUN_EMPTY)
        self.events = events
        self.names = found.names
        self.tasks = found.tasks
        self.segments = tuple(_build_segments(events, found.tasks))
        self._record = found
        self._ids = [event.event_id for event in events]
        self._open = OpenWorkIndex(self._ids, found.works)
        self._received = [one.event_id for one in found.received]
        self._task_starts = [task.scheduled for task in found.tasks]
        self._ran = [task for task in found.tasks if task.started is not None and task.build_id]
        self._completed = [task for task in found.tasks if task.outcome == "Completed"]

    @property
    def first_event_id(self) -> int:
        """The id of the first event; a cut history may start late."""
        return self._ids[0]

    @property
    def last_event_id(self) -> int:
        """The id of the last event."""
        return self._ids[-1]

    def index_of_event(self, event_id: int) -> int:
        """Return the event's position in the list; raise ReplaytoolError if the run has no such event."""
        index = bisect_left(self._ids, event_id)
        if index == len(self._ids) or self._ids[index] != event_id:
            raise ReplaytoolError(
                f"the run has no event {event_id}",
                f"its events are {self.first_event_id} to {self.last_event_id}",
                code=ErrorCode.STORE_EVENT_UNKNOWN,
            )
        return index

    def state_at(self, event_id: int) -> RecordedState:
        """Return the recorded state just after this event."""
        index = self.index_of_event(event_id)
        event, said = self.events[index], self._record
        task = self.find_task_at(event_id)
        updates = (work.view_at(event_id) for work in said.updates if work.opening_event_id <= event_id)
        return RecordedState(
            event_id, event.event_type, self.names[index], event.event_time, self._status_at(event_id),
            self.find_build_at(event_id), task, task.status_at(event_id) if task else None,
            self.find_issuing_task(event_id), self.find_consuming_task(event_id), self._open.list_open(index, event_id),
            tuple(said.received[: bisect_right(self._received, event_id)]), tuple(updates),
            _version_at(said.search_attributes, event_id), _version_at(said.memo, event_id),
        )  # fmt: skip

    def difference_between(self, before: int, after: int) -> RecordedDifference:
        """Return what differs at the second event, which may be the earlier one."""
        one, other = self.state_at(before), self.state_at(after)
        low, high = sorted((before, after))
        was, now = ({view.since: view for view in (*state.pending, *state.updates)} for state in (one, other))
        return RecordedDifference(
            before, after,
            tuple(view for since, view in now.items() if since not in was),
            tuple(self._view_when_closed(view, after) for since, view in was.items() if since not in now),
            tuple(self._open.list_passed(low, high)),
            tuple((view, now[since]) for since, view in was.items() if since in now and now[since] != view),
            self._record.received[bisect_right(self._received, low) : bisect_right(self._received, high)],  # type: ignore[arg-type]
            tuple(one for one in self._record.received if one.handled_by and low < one.handled_by <= high),
            tuple(_find_changed_facts(one, other)),
        )  # fmt: skip

    def find_task_at(self, event_id: int) -> WorkflowTask | None:
        """Return the newest workflow task scheduled by then."""
        index = bisect_right(self._task_starts, event_id)
        return self.tasks[index - 1] if index else None

    def find_build_at(self, event_id: int) -> str | None:
        """Return the build that ran the newest task started by then."""
        index = bisect_right(self._ran, event_id, key=lambda task: task.started or 0)
        return self._ran[index - 1].build_id if index else None

    def find_issuing_task(self, event_id: int) -> int | None:
        """Return the task whose code asked for this event, if code did."""
        return self._record.issued.get(event_id)

    def find_consuming_task(self, event_id: int) -> int | None:
        """Return the task in which the code saw this event; code never sees task events or its own commands."""
        self.index_of_event(event_id)
        if event_id in self._record.issued or event_id in self._record.hidden:
            return None
        index = bisect_right(self._completed, event_id, key=lambda task: task.started or task.closed or 0)
        return self._completed[index].closed if index < len(self._completed) else None

    def _status_at(self, event_id: int) -> str:
        closed = self._record.closed
        return closed[1] if closed and event_id >= closed[0] else "Running"

    def _view_when_closed(self, view: PendingItem, after: int) -> PendingItem:
        """Return how it stood when it closed. Before it opened, it keeps the view that it had."""
        return view if after < view.since else self._open.final_view(view.since)


def _build_segments(events: Sequence[Event], tasks: Sequence[WorkflowTask]) -> Iterator[BuildSegment]:
    """Yield stretches; each starts with the first task of its build, the first one at the first event."""
    first, build = events[0].event_id, None
    for task in tasks:
        if task.started is None or task.build_id is None or task.build_id == build:
            continue
        if build is not None:
            yield BuildSegment(first, task.started - 1, build)
            first = task.started
        build = task.build_id
    yield BuildSegment(first, events[-1].event_id, build)


def _version_at(versions: Sequence[tuple[int, Mapping[str, object]]], event_id: int) -> Mapping[str, object]:
    index = bisect_right(versions, event_id, key=lambda version: version[0])
    return versions[index - 1][1] if index else {}


def _find_changed_facts(one: RecordedState, other: RecordedState) -> Iterator[FactChange]:
    for what, before, after in (("status", one.status, other.status), ("build", one.build_id, other.build_id)):
        if before != after:
            yield FactChange(what, before, after)
    for what, was, now in (
        ("search attribute", one.search_attributes, other.search_attributes),
        ("memo", one.memo, other.memo),
    ):
        for key in sorted(was.keys() | now.keys()):
            if was.get(key) != now.get(key):
                yield FactChange(f"{what} {key}", was.get(key), now.get(key))
