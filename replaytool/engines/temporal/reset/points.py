"""Every point that a run can be reset to, from its history alone.

A point is always a completed workflow task: the server accepts others, but not all, and undoing a whole task is
what "before this happened" means. One function finds the point for each rule, one row in RULES names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from replaytool.engines.temporal.reset.run_chain import Line
from replaytool.engines.temporal.reset.run_facts import Activity, Record, Task
from replaytool.errors import ReplaytoolError
from replaytool.model.reset_plan import Point

_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a person asked for: the kind is a row of RULES."""

    kind: str
    value: str = ""
    ordinal: int = 1
    tasks_only: bool = False
    """Leave out what a build did to activities only."""
    points: Mapping[str, int] = field(default_factory=dict, compare=False)
    """By the runs' keys, where only replaying tells."""
    troubles: Mapping[str, str] = field(default_factory=dict, compare=False)

    def as_object(self) -> dict[str, object]:
        """The rule as a plan tells it."""
        more: dict[str, object] = {"entry": self.ordinal} if self.ordinal != 1 else {}
        return {self.kind: self.value or True} | more | ({"tasks_only": True} if self.tasks_only else {})


@dataclass(frozen=True, slots=True)
class Found:
    """The run to take as the base, and the point in it."""

    base: Record
    point: Point


@dataclass(frozen=True, slots=True)
class NotFound:
    """Why there is no such point."""

    reason: str


def is_hash(build_id: str | None) -> bool:
    """Whether it is the SDK's default, which does not change when code inside a function does.

    >>> is_hash("dd3039e5f0a24a2ba7a9e3e7a1a35a6c"), is_hash("v2")
    (True, False)
    """
    return bool(build_id and _HASH.fullmatch(build_id))


def refuse_hash(build_id: str) -> None:
    """A hash cannot be chosen: two versions of the code can share it."""
    if is_hash(build_id):
        raise ReplaytoolError(
            f"{build_id} is the SDK's default and was set by nobody: it cannot tell versions of the code apart",
            "choose the point by the time of the deployment (--time), by an event (--event) or by an activity "
            "(--before-activity), and give workers a build id from now on",
        )


def find(rule: Rule, line: Line) -> Found | NotFound:
    """The earliest point along the live line that the rule names."""
    return RULES[rule.kind](rule, line)


def entries(record: Record) -> Iterator[tuple[Task, int]]:
    """The first task of each stretch of tasks by one build, and the how-manieth stretch of that build it is."""
    seen: dict[str | None, int] = {}
    before: str | None = None
    for task in record.tasks:
        if task.build_id is not None and task.build_id != before:
            seen[task.build_id] = seen.get(task.build_id, 0) + 1
            yield task, seen[task.build_id]
        before = task.build_id or before


def first_touched_activity(record: Record, build_id: str) -> Activity | None:
    """The first activity that the build ran."""
    return next((one for one in record.activities.values() if one.build_id == build_id), None)


def touches(record: Record, build_id: str) -> bool:
    """Whether the build did anything that is in the history."""
    return any(task.build_id == build_id for task in record.tasks) or bool(first_touched_activity(record, build_id))


def all_points(record: Record) -> list[Point]:
    """Every point by build, by activity, and the two ends, in order of their events."""
    found = [_at(task, f"{_entry(ordinal)} by build {task.build_id}", ordinal) for task, ordinal in entries(record)]
    found += [point for build in _activity_builds(record) if (point := _before_touched(record, build))]
    kinds = dict.fromkeys(one.type for one in record.activities.values())
    found += [point for kind in kinds if (point := _before_type(record, kind))]
    if record.tasks:
        found += [_at(record.tasks[0], "first task"), _at(record.tasks[-1], "last task")]
    return sorted(found, key=lambda point: point.event_id)


def _activity_builds(record: Record) -> list[str]:
    return list(dict.fromkeys(one.build_id for one in record.activities.values() if one.build_id))


def _entry(ordinal: int) -> str:
    return "first task" if ordinal == 1 else f"entry {ordinal}"


def _at(task: Task, rule: str, ordinal: int | None = None) -> Point:
    return Point(task.event_id, task.build_id, rule, ordinal, task.at)


def _task(record: Record, event_id: int) -> Task | None:
    return next((task for task in record.tasks if task.event_id == event_id), None)


def _before_touched(record: Record, build_id: str) -> Point | None:
    activity = first_touched_activity(record, build_id)
    task = _task(record, activity.task_id) if activity else None
    if activity is None or task is None:
        return None
    return _at(task, f"the task that asked for {activity.type}, the first activity run by build {build_id}")


def _before_type(record: Record, kind: str) -> Point | None:
    activity = next((one for one in record.activities.values() if one.type == kind), None)
    task = _task(record, activity.task_id) if activity else None
    return _at(task, f"before the first {kind}") if task else None


def _by_build(rule: Rule, line: Line) -> Found | NotFound:
    count = 0
    for record in line.runs:
        own = [task for task, _ in entries(record) if task.build_id == rule.value]
        if rule.ordinal == 1 and (found := _first_touch(record, rule, own[0] if own else None)):
            return Found(record, found)
        for task in own:
            count += 1
            if count == rule.ordinal:
                return Found(record, _at(task, f"{_entry(count)} by build {rule.value}", count))
    if rule.ordinal > 1 and count:
        return NotFound(f"build {rule.value} came to it {count} times, and not {rule.ordinal}")
    return NotFound(f"no task and no activity by build {rule.value} in its live runs")


def _first_touch(record: Record, rule: Rule, task: Task | None) -> Point | None:
    """Whichever is earlier: the build's first task, or the task whose activity the build ran."""
    by_task = _at(task, f"first task by build {rule.value}", 1) if task else None
    by_activity = None if rule.tasks_only else _before_touched(record, rule.value)
    if by_task and by_activity:
        return by_activity if by_activity.event_id < by_task.event_id else by_task
    return by_task or by_activity


def _by_time(rule: Rule, line: Line) -> Found | NotFound:
    for record in line.runs:
        for task in record.tasks:
            if task.at is not None and task.at >= rule.value:
                return Found(record, _at(task, f"first task completed at or after {rule.value}"))
    return NotFound(f"no task was completed at or after {rule.value}")


def _by_event(rule: Rule, line: Line) -> Found | NotFound:
    record, wanted = line.target, int(rule.value)
    if wanted > record.last_event_id:
        return NotFound(f"event {wanted} is not in run {record.run_id}, which has {record.last_event_id}")
    before = [task for task in record.tasks if task.event_id <= wanted]
    if not before:
        first = f"the first is {record.tasks[0].event_id}" if record.tasks else "there is none"
        return NotFound(f"no workflow task was completed up to event {wanted}: {first}")
    task = before[-1]
    exact = "as chosen" if task.event_id == wanted else f"the last task completed before event {wanted}"
    return Found(record, _at(task, exact))


def _by_activity(rule: Rule, line: Line) -> Found | NotFound:
    for record in line.runs:
        if point := _before_type(record, rule.value):
            return Found(record, point)
    return NotFound(f"no activity {rule.value} in its live runs")


def _first_task(rule: Rule, line: Line) -> Found | NotFound:
    record = line.target
    return Found(record, _at(record.tasks[0], "first task")) if record.tasks else _no_task(record)


def _last_task(rule: Rule, line: Line) -> Found | NotFound:
    record = line.target
    return Found(record, _at(record.tasks[-1], "last task")) if record.tasks else _no_task(record)


def _last_continued(rule: Rule, line: Line) -> Found | NotFound:
    if line.newest.continued_run_id is None:
        return NotFound("it was not continued as new")
    if len(line.runs) < 2:
        return NotFound(f"the run before, {line.newest.continued_run_id}, is not loaded")
    record = line.runs[-2]
    if not record.tasks:
        return _no_task(record)
    return Found(record, _at(record.tasks[-1], "the task that continued it as new"))


def _state_changed(rule: Rule, line: Line) -> Found | NotFound:
    """Just before the earliest task that made the expression true."""
    for record in line.runs:
        task = _task(record, rule.points.get(record.run_key, 0))
        if task is not None:
            return Found(record, _at(task, f"the task after which {rule.value}"))
    return NotFound(_trouble(rule, line) or f"it never came to hold: {rule.value}")


def _latest_clean(rule: Rule, line: Line) -> Found | NotFound:
    """The latest task of the newest run up to which the new code follows, or of a run before."""
    for record in reversed(line.runs):
        task = _task(record, rule.points.get(record.run_key, 0))
        if task is not None:
            return Found(record, _at(task, "the latest up to which the new code replays cleanly"))
    return NotFound(_trouble(rule, line) or "the new code follows none of its runs to any task")


def _trouble(rule: Rule, line: Line) -> str:
    return next((rule.troubles[one.run_key] for one in line.runs if one.run_key in rule.troubles), "")


def _no_task(record: Record) -> NotFound:
    return NotFound(f"run {record.run_id or record.run_key} has no completed workflow task")


RULES: dict[str, Callable[[Rule, Line], Found | NotFound]] = {
    "build": _by_build,
    "time": _by_time,
    "event": _by_event,
    "before_activity": _by_activity,
    "first_task": _first_task,
    "last_task": _last_task,
    "last_continued_as_new": _last_continued,
    "state_changed": _state_changed,
    "latest_clean": _latest_clean,
}
