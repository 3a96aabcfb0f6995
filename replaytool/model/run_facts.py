"""What a reset plan needs to know of a run: its tasks, what they asked for, and what came from outside.

An engine reads these facts from its events; the planner finds points and effects in them and knows no engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from replaytool.model.token_usage import TokenUsage


@dataclass(slots=True)
class RunTask:
    """A completed workflow task: a possible reset point."""

    event_id: int
    at: str | None
    build_id: str | None
    deployment: str | None
    behavior: str | None
    """PINNED, AUTO_UPGRADE, or empty if the worker is not versioned."""


@dataclass(slots=True)
class RunActivity:
    """An activity, from the task that scheduled it to its end."""

    type: str
    task_id: int
    """The workflow task that scheduled it."""
    scheduled: int
    started: int | None = None
    closed: int | None = None
    build_id: str | None = None
    """The build that executed it."""
    started_at: str | None = None
    asked: object = None
    """Its recorded input, until it closes."""
    spent: list[TokenUsage] = field(default_factory=list)
    """The tokens that its result reports."""


@dataclass(slots=True)
class RunUpdate:
    """An update, from whichever of its events the history has."""

    id: str
    name: str
    event_id: int
    completed: int | None = None


@dataclass(slots=True)
class RunChild:
    """A child workflow, as its parent records it."""

    workflow_id: str
    type: str
    initiated: int
    reuse_policy: str
    close_policy: str
    run_id: str | None = None
    started: int | None = None
    closed: int | None = None
    outcome: str = "Running"


@dataclass(slots=True)
class NamedEvent:
    """An event of which only ID and name matter: a signal, a cancel request, a local activity."""

    event_id: int
    name: str = ""
    closed: int | None = None
    spent: list[TokenUsage] = field(default_factory=list)


@dataclass(slots=True)
class VersionOverride:
    """A versioning override: the version that it pins to, or None for auto-upgrade."""

    event_id: int
    deployment: str | None
    build_id: str | None
    removed: bool = False


@dataclass(slots=True)
class ResetEvent:
    """The reset that forked this run from another one."""

    event_id: int
    base_run_id: str
    new_run_id: str
    reason: str
    at: str | None


@dataclass(slots=True)
class RunFacts:
    """What matters to a reset, of one run."""

    run_key: str
    workflow_id: str | None
    run_id: str | None
    workflow_type: str
    task_queue: str | None
    status: str
    engine: str = "temporal"
    namespace: str | None = None
    first_run_id: str | None = None
    continued_run_id: str | None = None
    parent_workflow_id: str | None = None
    problems: tuple[str, ...] = ()
    born_at: str = ""
    """When this run began to exist: the first events of a reset run are older than the run."""
    last_event_id: int = 0
    closed_at: str | None = None
    next_run_id: str | None = None
    """The run after this one: by continue-as-new, a retry, or the cron schedule."""
    terminated_by_reset: bool = False
    tasks: list[RunTask] = field(default_factory=list)
    activities: dict[int, RunActivity] = field(default_factory=dict)
    locals: list[NamedEvent] = field(default_factory=list)
    signals: list[NamedEvent] = field(default_factory=list)
    updates: dict[str, RunUpdate] = field(default_factory=dict)
    overrides: list[VersionOverride] = field(default_factory=list)
    children: dict[int, RunChild] = field(default_factory=dict)
    child_events: list[NamedEvent] = field(default_factory=list)
    externals: list[NamedEvent] = field(default_factory=list)
    nexus: dict[int, NamedEvent] = field(default_factory=dict)
    cancels: list[NamedEvent] = field(default_factory=list)
    resets: list[ResetEvent] = field(default_factory=list)

    @property
    def reset_from(self) -> str | None:
        """The base run of the reset that created this run."""
        return next((one.base_run_id for one in reversed(self.resets) if one.new_run_id == self.run_id), None)


def list_build_entries(record: RunFacts) -> Iterator[tuple[RunTask, int]]:
    """Yield the first task of each stretch of tasks by one build, and the number of that build's stretch."""
    seen: dict[str | None, int] = {}
    before: str | None = None
    for task in record.tasks:
        if task.build_id is not None and task.build_id != before:
            seen[task.build_id] = seen.get(task.build_id, 0) + 1
            yield task, seen[task.build_id]
        before = task.build_id or before


def first_activity_of_build(record: RunFacts, build_id: str) -> RunActivity | None:
    """Return the first activity that the build executed."""
    return next((one for one in record.activities.values() if one.build_id == build_id), None)
