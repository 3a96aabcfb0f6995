"""The completed tasks of a run: when code ran to its next wait, and of which build."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replaytool.model.history import EventHead


@dataclass(frozen=True, slots=True)
class CompletedTask:
    """A completed workflow task."""

    ordinal: int
    """Its number among all tasks of the run, failed and timed out ones included."""
    event_id: int
    build_id: str | None
    started: int


class TaskIndex:
    """All completed tasks of a run, in order. It reads only IDs and types of events."""

    def __init__(
        self,
        tasks: list[CompletedTask],
        events: Sequence[EventHead],
        is_issued: Callable[[str], bool],
        is_hidden: Callable[[str], bool],
    ) -> None:
        self.all = tasks
        self._is_issued, self._is_hidden = is_issued, is_hidden
        self._first, self._types = events[0].event_id if events else 1, [event.event_type for event in events]
        self._ids = [task.event_id for task in self.all]
        self._last_id = events[-1].event_id if events else 0

    def newest_task(self, event_id: int) -> CompletedTask | None:
        """Return the last task that completed at or before this event."""
        index = self._count_completed(event_id)
        return self.all[index - 1] if index else None

    def next_task(self, event_id: int) -> CompletedTask | None:
        """Return the first task that completed after this event: the code sees the event in it."""
        index = self._count_completed(event_id)
        return self.all[index] if index < len(self.all) else None

    def task_of_event(self, event_id: int) -> CompletedTask | None:
        """Return the task that an event belongs to: the task that issued it, else the task that the event led to."""
        kind = self._types[event_id - self._first]
        return self.newest_task(event_id) if self._is_issued(kind) else self.next_task(event_id - 1)

    def find_observing_task(self, event_id: int) -> CompletedTask | None:
        """Return the task in which the code saw this event.

        Commands and events of tasks are never shown to the code.
        """
        kind = self._types[event_id - self._first]
        if self._is_issued(kind) or self._is_hidden(kind):
            return None
        return next((task for task in self.all[self._count_completed(event_id) :] if task.started > event_id), None)

    def _count_completed(self, event_id: int) -> int:
        return bisect_right(self._ids, event_id)

    def events_of_task(self, task: CompletedTask) -> range:
        """Return the events at which this task is the newest completed one."""
        after = self.next_task(task.event_id)
        return range(task.event_id, after.event_id if after else self._last_id + 1)
