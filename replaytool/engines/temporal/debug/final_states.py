"""Replay runs for their state: at the end, whether an expression holds after each task, and the last clean task."""

from __future__ import annotations

from dataclasses import replace

from replaytool.engines import Code, Options, replay
from replaytool.engines.temporal.events.decoding import event_heads, take_events_before
from replaytool.engines.temporal.events.event_types import TASK_COMPLETED
from replaytool.engines.temporal.replay.drive import drive_past_end
from replaytool.engines.temporal.replay.recorded_commands import run_from_json
from replaytool.engines.temporal.replay.sandbox_refusals import refuse_sandboxed_code
from replaytool.model.history import Run
from replaytool.model.workflow_state import WorkflowState
from replaytool.replay.inspect_state.expressions import Expression, ExpressionScope, parse_expression
from replaytool.replay.inspect_state.json_state import workflow_state
from replaytool.replay.jobs import JobRequest, WorkerJob

_CLEAN = ("ok", "drift")


def replay_to_end(run: Run, code: Code, options: Options, expression: Expression | None = None) -> WorkflowState:
    """Replay the whole run in this process. With an expression, evaluate it after each task."""
    if code.workflow_class(run.workflow_type) is None:
        return WorkflowState(trouble=code.explain_missing(run.workflow_type))
    refused = refuse_sandboxed_code(run, code, options, "direct")
    if refused is not None:
        return WorkflowState(trouble=refused.reason)
    tasks = [event.event_id for event in event_heads(run.events) if event.event_type == TASK_COMPLETED]
    holds: dict[int, bool] = {}
    unsure, failure = "", None
    with drive_past_end(run, code, options, inside=expression is None) as course:
        for told in course.run_steps():
            failure = told.answer.failure or failure
            workflow = _workflow_object(course.driver.sdk_instance)
            if expression is None or workflow is None:
                continue
            outcome = expression.evaluate(ExpressionScope(workflow))
            unsure = outcome.error or unsure
            task = next((one for one in tasks if one > told.activation.history_length), None)
            if task is not None:
                holds[task] = outcome.holds
        workflow = _workflow_object(course.driver.sdk_instance)
        state = workflow_state(workflow) if workflow is not None else None
        trouble = course.outcome.message if course.outcome.word != "ok" else failure
    return WorkflowState(state, trouble or None, sorted(holds.items()), unsure)


def _workflow_object(instance: object) -> object:
    return getattr(instance, "_object", None)


def find_latest_clean(run: Run, code: Code, options: Options) -> WorkflowState:
    """Find the latest reset point up to which the code replays cleanly."""
    tasks = [event.event_id for event in event_heads(run.events) if event.event_type == TASK_COMPLETED]
    verdict = replay(run, code, options)
    if verdict.verdict in _CLEAN:
        return WorkflowState(clean=tasks[-1] if tasks else None)
    found = verdict.divergence or verdict.failure
    last = found.event_id if found is not None and found.event_id else tasks[-1] + 1 if tasks else 0
    # From the mismatch backwards, not by halving: the first or second task is clean nearly always.
    for task in (task for task in reversed(tasks) if task <= last):
        if replay(replace(run, events=take_events_before(run.events, task)), code, options).verdict in _CLEAN:
            return WorkflowState(clean=task)
    return WorkflowState(trouble=f"{verdict.verdict}: {verdict.reason}")


def _run_state_job(asked: JobRequest) -> WorkflowState:
    run = run_from_json(asked.run, asked.history)
    if asked.argument.get("clean"):
        return find_latest_clean(run, asked.code, asked.options)
    text = asked.argument.get("where")
    return replay_to_end(run, asked.code, asked.options, parse_expression(text) if text else None)


_GONE = "the replay's process"
JOB: WorkerJob[WorkflowState] = WorkerJob(
    name="replaytool.engines.temporal.debug.final_states:JOB",
    answer=WorkflowState,
    work=_run_state_job,
    crashed=lambda reason, seconds: WorkflowState(trouble=f"{_GONE}: {reason}"),
    fault=lambda reason, place: WorkflowState(trouble=f"{reason} ({place})"),
    is_last=lambda one: str(one.trouble).startswith(_GONE),
    is_shaky=lambda one: str(one.trouble).startswith(_GONE),
)
