"""Find reset points of a run in its history.

A point is always a completed workflow task. The server accepts some others, but to undo a whole task is what "before
this happened" means. To add a rule, write one function and add one row to RULES.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.reset_case import ResetRule, RunChain
from replaytool.model.reset_plan import ResetPoint
from replaytool.model.run_facts import RunFacts, RunTask, first_activity_of_build, list_build_entries

# temporalio's default is an MD5 over the top-level code of each loaded module. The body of a function is not in it:
# a changed method keeps the ID, and one more import changes it (measured with 1.35).
_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class FoundPoint:
    """The base run, and the point in it."""

    base: RunFacts
    point: ResetPoint


@dataclass(frozen=True, slots=True)
class NoPoint:
    """Why there is no such point."""

    reason: str


def is_default_build_id(build_id: str | None) -> bool:
    """Return whether this is the SDK's default build ID. It does not change with code inside a function.

    >>> is_default_build_id("dd3039e5f0a24a2ba7a9e3e7a1a35a6c"), is_default_build_id("v2")
    (True, False)
    """
    return bool(build_id and _HASH.fullmatch(build_id))


def refuse_default_build_id(build_id: str) -> None:
    """Raise if the build ID is the SDK's default: two versions of the code can share it."""
    if is_default_build_id(build_id):
        raise ReplaytoolError(
            f"{build_id} is the SDK's default build ID: two versions of the code can share it",
            "choose the point by time (--time), event (--event) or activity (--before-activity), and set a build ID in "
            "your workers from now on",
            code=ErrorCode.RESET_DEFAULT_BUILD,
        )


def find_reset_point(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    """Return the earliest point of the rule in the chain."""
    return RULES[rule.kind](rule, line)


def was_touched_by(record: RunFacts, build_id: str) -> bool:
    """Return whether the build completed a task or executed an activity of the run."""
    return any(task.build_id == build_id for task in record.tasks) or bool(first_activity_of_build(record, build_id))


def list_reset_points(record: RunFacts) -> list[ResetPoint]:
    """Return every point by build and by activity, and the first and last task, in order of events."""
    found = [
        _build_point(task, f"{_describe_entry(ordinal)} by build {task.build_id}", ordinal)
        for task, ordinal in list_build_entries(record)
    ]
    found += [
        point for build in _builds_of_activities(record) if (point := _point_before_build_activity(record, build))
    ]
    kinds = dict.fromkeys(one.type for one in record.activities.values())
    found += [point for kind in kinds if (point := _point_before_activity_type(record, kind))]
    if record.tasks:
        found += [_build_point(record.tasks[0], "first task"), _build_point(record.tasks[-1], "last task")]
    return sorted(found, key=lambda point: point.event_id)


def _builds_of_activities(record: RunFacts) -> list[str]:
    return list(dict.fromkeys(one.build_id for one in record.activities.values() if one.build_id))


def _describe_entry(ordinal: int) -> str:
    return "first task" if ordinal == 1 else f"entry {ordinal}"


def _build_point(task: RunTask, rule: str, ordinal: int | None = None) -> ResetPoint:
    return ResetPoint(task.event_id, task.build_id, rule, ordinal, task.at)


def _find_task(record: RunFacts, event_id: int) -> RunTask | None:
    return next((task for task in record.tasks if task.event_id == event_id), None)


def _point_before_build_activity(record: RunFacts, build_id: str) -> ResetPoint | None:
    activity = first_activity_of_build(record, build_id)
    task = _find_task(record, activity.task_id) if activity else None
    if activity is None or task is None:
        return None
    return _build_point(
        task, f"the task that scheduled {activity.type}, the first activity executed by build {build_id}"
    )


def _point_before_activity_type(record: RunFacts, kind: str) -> ResetPoint | None:
    activity = next((one for one in record.activities.values() if one.type == kind), None)
    task = _find_task(record, activity.task_id) if activity else None
    return _build_point(task, f"before the first {kind}") if task else None


def _find_by_build(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    count = 0
    for record in line.runs:
        own = [task for task, _ in list_build_entries(record) if task.build_id == rule.value]
        if rule.ordinal == 1 and (found := _first_point_of_build(record, rule, own[0] if own else None)):
            return FoundPoint(record, found)
        for task in own:
            count += 1
            if count == rule.ordinal:
                return FoundPoint(record, _build_point(task, f"{_describe_entry(count)} by build {rule.value}", count))
    if rule.ordinal > 1 and count:
        return NoPoint(f"build {rule.value} took over {count} times, not {rule.ordinal}")
    return NoPoint(f"build {rule.value} completed no task and executed no activity in its runs")


def _first_point_of_build(record: RunFacts, rule: ResetRule, task: RunTask | None) -> ResetPoint | None:
    """Return the earlier of two points: the build's first task, or the task that scheduled its first activity."""
    by_task = _build_point(task, f"first task by build {rule.value}", 1) if task else None
    by_activity = None if rule.tasks_only else _point_before_build_activity(record, rule.value)
    if by_task and by_activity:
        return by_activity if by_activity.event_id < by_task.event_id else by_task
    return by_task or by_activity


def _find_by_time(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    for record in line.runs:
        for task in record.tasks:
            if task.at is not None and task.at >= rule.value:
                return FoundPoint(record, _build_point(task, f"first task completed at or after {rule.value}"))
    return NoPoint(f"no task completed at or after {rule.value}")


def _find_by_event(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    record, wanted = line.target_run, int(rule.value)
    if wanted > record.last_event_id:
        return NoPoint(f"run {record.run_id} has no event {wanted}: it ends at event {record.last_event_id}")
    # Rounded down to a completed task: of other events, the server accepts few ("must be at the boundary").
    before = [task for task in record.tasks if task.event_id <= wanted]
    if not before:
        first = f"the first is {record.tasks[0].event_id}" if record.tasks else "there is none"
        return NoPoint(f"no workflow task completed up to event {wanted}: {first}")
    task = before[-1]
    exact = "as chosen" if task.event_id == wanted else f"the last task completed before event {wanted}"
    return FoundPoint(record, _build_point(task, exact))


def _find_by_activity(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    for record in line.runs:
        if point := _point_before_activity_type(record, rule.value):
            return FoundPoint(record, point)
    return NoPoint(f"no activity {rule.value} in its runs")


def _find_at_first_task(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    record = line.target_run
    return (
        FoundPoint(record, _build_point(record.tasks[0], "first task")) if record.tasks else _no_completed_task(record)
    )


def _find_at_last_task(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    record = line.target_run
    return (
        FoundPoint(record, _build_point(record.tasks[-1], "last task")) if record.tasks else _no_completed_task(record)
    )


def _find_at_continuation(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    if line.newest_run.continued_run_id is None:
        return NoPoint("it was not continued as new")
    if len(line.runs) < 2:
        return NoPoint(f"the run before it, {line.newest_run.continued_run_id}, is not loaded")
    record = line.runs[-2]
    if not record.tasks:
        return _no_completed_task(record)
    return FoundPoint(record, _build_point(record.tasks[-1], "the task that continued it as new"))


def _find_by_state(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    """Find the earliest task that made the expression true."""
    for record in line.runs:
        task = _find_task(record, rule.points.get(record.run_key, 0))
        if task is not None:
            return FoundPoint(record, _build_point(task, f"the task after which {rule.value}"))
    return NoPoint(_describe_trouble(rule, line) or f"it never became true: {rule.value}")


def _find_latest_clean_point(rule: ResetRule, line: RunChain) -> FoundPoint | NoPoint:
    """Find the last task up to which the new code replays cleanly, in the newest run that has one."""
    for record in reversed(line.runs):
        task = _find_task(record, rule.points.get(record.run_key, 0))
        if task is not None:
            return FoundPoint(record, _build_point(task, "the latest task up to which the new code replays cleanly"))
    return NoPoint(_describe_trouble(rule, line) or "the new code replays none of its runs up to any task")


def _describe_trouble(rule: ResetRule, line: RunChain) -> str:
    return next((rule.troubles[one.run_key] for one in line.runs if one.run_key in rule.troubles), "")


def _no_completed_task(record: RunFacts) -> NoPoint:
    return NoPoint(f"run {record.run_id or record.run_key} has no completed workflow task")


RULES: dict[str, Callable[[ResetRule, RunChain], FoundPoint | NoPoint]] = {
    "build": _find_by_build,
    "time": _find_by_time,
    "event": _find_by_event,
    "before_activity": _find_by_activity,
    "first_task": _find_at_first_task,
    "last_task": _find_at_last_task,
    "last_continued_as_new": _find_at_continuation,
    "state_changed": _find_by_state,
    "latest_clean": _find_latest_clean_point,
}
