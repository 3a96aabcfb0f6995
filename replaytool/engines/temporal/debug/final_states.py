"""What recorded runs hold under some code: in the end, after each task, and up to where the code follows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from replaytool.engines import Code, Options, replay
from replaytool.engines.temporal.events.decoding import heads, until
from replaytool.engines.temporal.replay.drive import driving
from replaytool.engines.temporal.replay.recorded_commands import from_bytes
from replaytool.model.history import Run
from replaytool.replay.inspect_state.expressions import Expression, Scope, parse
from replaytool.replay.inspect_state.json_state import state_of
from replaytool.replay.jobs import Asked, Job

_CLEAN = ("ok", "drift")


@dataclass(frozen=True)
class Stand:
    """How one run stands."""

    state: dict[str, Any] | None = None
    """The workflow's attributes after the last event."""
    trouble: str | None = None
    """Why nothing can be said, or nothing about the rest."""
    holds: list[tuple[int, bool]] = field(default_factory=list)
    """Whether the expression is true after each completed task, by the task's event."""
    unsure: str = ""
    """What kept the expression from being true or false, the last time that something did."""
    clean: int | None = None
    """The latest completed task up to which the code follows the record."""


def stand(run: Run, code: Code, options: Options, expression: Expression | None = None) -> Stand:
    """Replay the whole run, in this process; with an expression, look at it after each task."""
    if code.workflow(run.workflow_type) is None:
        return Stand(trouble=f"no code for workflow type {run.workflow_type!r}")
    tasks = [event.event_id for event in heads(run.events) if event.event_type == "WorkflowTaskCompleted"]
    holds: dict[int, bool] = {}
    unsure, failure = "", None
    with driving(run, code, options, inside=expression is None) as course:
        for told in course.steps():
            failure = told.answer.failure or failure
            workflow = _workflow(course.driven.innermost)
            if expression is None or workflow is None:
                continue
            outcome = expression.evaluate(Scope(workflow))
            unsure = outcome.error or unsure
            task = next((one for one in tasks if one > told.activation.history_length), None)
            if task is not None:
                holds[task] = outcome.holds
        workflow = _workflow(course.driven.innermost)
        state = state_of(workflow) if workflow is not None else None
        trouble = course.says.message if course.says.word != "ok" else failure
    return Stand(state, trouble or None, sorted(holds.items()), unsure)


def _workflow(instance: Any) -> Any:
    return getattr(instance, "_object", None)


def latest_clean(run: Run, code: Code, options: Options) -> Stand:
    """The latest point to which a reset leaves only what the code follows."""
    tasks = [event.event_id for event in heads(run.events) if event.event_type == "WorkflowTaskCompleted"]
    verdict = replay(run, code, options)
    if verdict.verdict in _CLEAN:
        return Stand(clean=tasks[-1] if tasks else None)
    found = verdict.divergence or verdict.failure
    last = found.event_id if found is not None and found.event_id else tasks[-1] + 1 if tasks else 0
    for task in _backwards(tasks, last):
        if replay(replace(run, events=until(run.events, task)), code, options).verdict in _CLEAN:
            return Stand(clean=task)
    return Stand(trouble=f"{verdict.verdict}: {verdict.reason}")


def _backwards(tasks: list[int], last: int) -> Iterator[int]:
    return (task for task in reversed(tasks) if task <= last)


def _work(asked: Asked) -> Stand:
    run = from_bytes(asked.run, asked.history)
    if asked.argument.get("clean"):
        return latest_clean(run, asked.code, asked.options)
    text = asked.argument.get("where")
    return stand(run, asked.code, asked.options, parse(text) if text else None)


_GONE = "the replay's process"
JOB: Job[Stand] = Job(
    name="replaytool.engines.temporal.debug.final_states:JOB",
    answer=Stand,
    work=_work,
    crashed=lambda reason, seconds: Stand(trouble=f"{_GONE}: {reason}"),
    fault=lambda reason, place: Stand(trouble=f"{reason} ({place})"),
    is_last=lambda one: str(one.trouble).startswith(_GONE),
    is_shaky=lambda one: str(one.trouble).startswith(_GONE),
)
