"""The completed workflow tasks of a run: when code ran, and of which build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replaytool.engines.temporal.events.event_types import (
    COMMAND_EVENTS,
    FINAL_EVENTS,
    NEVER_SHOWN,
    TASK_COMPLETED,
    TASK_SCHEDULED,
    TASK_STARTED,
)
from replaytool.model.history import EventHead
from replaytool.model.task_index import CompletedTask, TaskIndex


def index_tasks(events: Sequence[EventHead], builds: Mapping[int, str] | None = None) -> TaskIndex:
    """Return the completed tasks; `builds` tells who completed a task if the events do not."""
    return TaskIndex(list_completed_tasks(events, builds or {}), events, COMMAND_EVENTS.__contains__, is_hidden_type)


def is_hidden_type(event_type: str) -> bool:
    """Return whether the code is never shown an event of this type."""
    return event_type in FINAL_EVENTS or event_type.startswith(NEVER_SHOWN)


def list_completed_tasks(events: Sequence[EventHead], builds: Mapping[int, str]) -> list[CompletedTask]:
    """Read the completed tasks in one pass. `builds` fills in a build ID where the event has none."""
    found: list[CompletedTask] = []
    ordinal, build, started = 0, None, 0
    for event in events:
        if event.event_type == TASK_SCHEDULED:
            ordinal, build = ordinal + 1, None
        elif event.event_type == TASK_STARTED:
            build, started = getattr(event, "build_id", None), event.event_id
        elif event.event_type == TASK_COMPLETED:
            build = getattr(event, "build_id", None) or builds.get(event.event_id) or build
            found.append(CompletedTask(max(ordinal, 1), event.event_id, build, started))
    return found
