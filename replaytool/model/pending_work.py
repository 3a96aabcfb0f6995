"""What a run waited for, and when: activities, timers, children, messages, and the tasks in which its code ran.

An engine reads a `WorkRecord` from its events. The rest of the house looks states up in it, so that going forwards and
backwards through a run cost the same and agree.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_BLOCK = 256
"""Events per list of open work. A lookup scans at most the work of one block."""


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
    """The event that completed this task. None if no later task completed."""

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
    """The task that issued an event, by the event."""
    search_attributes: Sequence[tuple[int, Mapping[str, object]]]
    memo: Sequence[tuple[int, Mapping[str, object]]]
    closed: tuple[int, str] | None
    hidden: frozenset[int] = frozenset()
    """Events that the code is never shown: bookkeeping of tasks, and the end."""


class OpenWorkIndex:
    """Finds the work that was open at an event, without a scan of the whole run."""

    def __init__(self, event_ids: Sequence[int], works: Sequence[TrackedWork]) -> None:
        self._ids, self._works = event_ids, works
        self._openings = [work.opening_event_id for work in works]
        assert all(one <= other for one, other in pairwise(self._openings)), "bisect needs works in order"
        self._open_before = self._list_open_before_blocks()

    def _list_open_before_blocks(self) -> list[tuple[TrackedWork, ...]]:
        lists: list[tuple[TrackedWork, ...]] = []
        still: list[TrackedWork] = []
        taken = 0
        for start in self._ids[::_BLOCK]:
            first = bisect_left(self._openings, start)
            still = [*still, *self._works[taken:first]]
            still = [work for work in still if work.closed is None or work.closed >= start]
            lists.append(tuple(still))
            taken = first
        return lists

    def list_open(self, index: int, event_id: int) -> tuple[PendingItem, ...]:
        """Return what was open after this event; `index` is the event's place among all events."""
        assert self._ids[index] == event_id, f"event {event_id} is not at index {index}"
        block = index // _BLOCK
        since = bisect_left(self._openings, self._ids[block * _BLOCK])
        until = bisect_right(self._openings, event_id)
        candidates = (*self._open_before[block], *self._works[since:until])
        return tuple(work.view_at(event_id) for work in candidates if work.is_open_at(event_id))

    def list_passed(self, low: int, high: int) -> list[PendingItem]:
        """Return work that both opened after `low` and closed up to `high`, as it stood when it closed."""
        opened = self._works[bisect_right(self._openings, low) : bisect_right(self._openings, high)]
        return [work.views[-1] for work in opened if work.closed is not None and work.closed <= high]

    def final_view(self, opening_event_id: int) -> PendingItem:
        """Return how the work that opened with this event stood last."""
        return self._works[bisect_left(self._openings, opening_event_id)].views[-1]
