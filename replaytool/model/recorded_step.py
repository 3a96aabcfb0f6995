"""One step that an engine recorded: an activity, a node, a wait, a child. Every engine's steps have this shape."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""Stands where a record holds no value: None is a value that a step may have returned."""


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step as the record holds it; a row of the `steps` view."""

    step_id: str
    kind: str
    """activity, task, node, step, timer, wait, child or local."""
    name: str
    event_id: int
    """The event that began it."""
    parent_step_id: str | None = None
    closed_event_id: int | None = None
    """The event that ended it; None while it is open."""
    outcome: str = "Scheduled"
    attempt: int | None = None
    scheduled_at: str | None = None
    started_at: str | None = None
    closed_at: str | None = None
    build_id: str | None = None
    input: Any = ABSENT
    result: Any = ABSENT
    failure: Any = ABSENT

    @property
    def is_open(self) -> bool:
        """Whether the record holds no end of it."""
        return self.closed_event_id is None


@dataclass(frozen=True, slots=True)
class RecordedEnd:
    """How a run ended, as the record holds it."""

    event_id: int
    kind: str
    """complete or fail."""
    result: Any = ABSENT
    failure: Any = ABSENT
