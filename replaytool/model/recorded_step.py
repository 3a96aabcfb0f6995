"""One step that an engine recorded: an activity, a node, a wait, a child. Every engine's steps have this shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from replaytool.model.history import BuildUse, Run

ACTIVITY_KINDS = frozenset({"activity", "task", "node", "step", "local"})
"""Kinds of steps that run the user's code: rows of the `activities` view."""


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
    child_workflow_id: str | None = None
    """The workflow ID of a child, where the record holds it."""
    input: object = ABSENT
    result: object = ABSENT
    failure: object = ABSENT

    @property
    def is_open(self) -> bool:
        """Whether the record holds no end of it."""
        return self.closed_event_id is None

    @property
    def first_time(self) -> str | None:
        """The earliest time that the record holds."""
        return self.scheduled_at or self.started_at or self.closed_at

    @property
    def last_time(self) -> str | None:
        """The latest time that the record holds."""
        return self.closed_at or self.started_at or self.scheduled_at


def add_builds(run: Run, steps: Sequence[RecordedStep]) -> Run:
    """Return the run with the builds that ran its steps, where its format named none."""
    ran = [step for step in steps if step.build_id]
    if run.builds or not ran:
        return run
    uses: dict[str, BuildUse] = {}
    for step in ran:
        assert step.build_id is not None
        use = uses.get(step.build_id) or BuildUse(step.build_id, first_seen=step.first_time)
        activities = use.activities + (step.kind in ACTIVITY_KINDS)
        uses[step.build_id] = replace(use, activities=activities, last_seen=step.last_time)
    return replace(run, builds=tuple(uses.values()), first_build=ran[0].build_id, last_build=ran[-1].build_id)


@dataclass(frozen=True, slots=True)
class RecordedEnd:
    """How a run ended, as the record holds it."""

    event_id: int
    kind: str
    """complete or fail."""
    result: object = ABSENT
    failure: object = ABSENT
