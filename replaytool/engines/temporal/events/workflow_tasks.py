"""The completed workflow tasks of a run: the moments at which code ran, and which build's code it was."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS, FINAL_EVENTS

_UNTOLD = ("WorkflowTask", "ActivityTaskStarted", "WorkflowExecutionOptionsUpdated")


@dataclass(frozen=True, slots=True)
class CompletedTask:
    """One of them."""

    ordinal: int
    """Among all tasks of the run, those that failed or timed out included."""
    event_id: int
    build_id: str | None
    started: int


class Tasks:
    """All of them, in the order of the record. Of events no more is needed than their heads."""

    def __init__(self, events: Sequence[Any], builds: Mapping[int, str] | None = None) -> None:
        self.all = completed(events, builds or {})
        self._first, self._types = events[0].event_id if events else 1, [event.event_type for event in events]
        self._ids = [task.event_id for task in self.all]
        self._last_id = events[-1].event_id if events else 0

    def newest(self, event_id: int) -> CompletedTask | None:
        """The newest that had completed by then."""
        index = self._newest(event_id)
        return self.all[index - 1] if index else None

    def after(self, event_id: int) -> CompletedTask | None:
        """The first that completed later; what the code is told up to an event belongs to that task."""
        index = self._newest(event_id)
        return self.all[index] if index < len(self.all) else None

    def of(self, event_id: int) -> CompletedTask | None:
        """The task that an event belongs to: the one that asked for it, or else the one that it led to."""
        kind = self._types[event_id - self._first]
        return self.newest(event_id) if kind in COMMAND_EVENTS else self.after(event_id - 1)

    def shown_in(self, event_id: int) -> CompletedTask | None:
        """The task in which the code was told of this event; tasks' own events and commands are told to nobody."""
        kind = self._types[event_id - self._first]
        if kind in COMMAND_EVENTS or kind in FINAL_EVENTS or kind.startswith(_UNTOLD):
            return None
        return next((task for task in self.all[self._newest(event_id) :] if task.started > event_id), None)

    def _newest(self, event_id: int) -> int:
        return bisect_right(self._ids, event_id)

    def events_of(self, task: CompletedTask) -> range:
        """The events at which this one is the newest."""
        after = self.after(task.event_id)
        return range(task.event_id, after.event_id if after else self._last_id + 1)


def completed(events: Sequence[Any], builds: Mapping[int, str]) -> list[CompletedTask]:
    """One pass over the events; `builds` says who completed a task where the events do not."""
    found: list[CompletedTask] = []
    ordinal, build, started = 0, None, 0
    for event in events:
        if event.event_type == "WorkflowTaskScheduled":
            ordinal, build = ordinal + 1, None
        elif event.event_type == "WorkflowTaskStarted":
            build, started = getattr(event, "build_id", None), event.event_id
        elif event.event_type == "WorkflowTaskCompleted":
            build = getattr(event, "build_id", None) or builds.get(event.event_id) or build
            found.append(CompletedTask(max(ordinal, 1), event.event_id, build, started))
    return found
