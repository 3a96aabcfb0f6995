"""The kinds of edits that change what a workflow does."""

from __future__ import annotations

from typing import Any

from tests.drills.mutants.changing_edits import (
    NEW_ACTIVITY,
    activity_for_it,
    becoming,
    bound,
    cancels,
    conditions,
    constants,
    ends,
    failures,
    first_argument,
    gathered,
    guards,
    handler,
    inserting,
    keeping,
    keyword,
    literals,
    longer,
    loops,
    negated,
    numbers,
    one_more,
    other_failure,
    other_input,
    other_result,
    over,
    patched,
    raising_at_end,
    removed,
    returns,
    reversed_literal,
    swapped,
    timer_for_it,
    uncaught,
    under_other_name,
    update_answers,
    without_patience,
)
from tests.drills.mutants.operators import Operator, asks, calls, commanding, spots

_ACTIVITY = ("execute_activity", "start_activity")
_LOCAL = ("execute_local_activity", "start_local_activity")
_CHILD = ("execute_child_workflow", "start_child_workflow")
_NEW_CHILD = "await workflow.execute_child_workflow('Added', id='added')"
_NEW_TIMER = "await workflow.sleep(5)"


def by_chance(condition: str) -> dict[str, Any]:
    """A branch with a command in it, taken by what differs between replays."""
    lines = "if {}:\n    " + _NEW_TIMER
    return {
        "places": commanding(),
        "edit": inserting(*lines.format(condition).splitlines()),
        "forced": inserting(*lines.format("True").splitlines()),
        "sandbox": "off",
    }


CHANGING: tuple[Operator, ...] = (
    Operator("swap activities", commanding(*_ACTIVITY, *_LOCAL, *_CHILD), swapped),
    Operator("swap activities", literals, reversed_literal),
    Operator("remove an activity", commanding(*_ACTIVITY, *_LOCAL), removed),
    Operator("add an activity", commanding(), inserting(NEW_ACTIVITY)),
    Operator("rename an activity", calls(*_ACTIVITY, *_LOCAL), first_argument),
    Operator("timer for activity", calls(*_ACTIVITY, *_LOCAL), timer_for_it),
    Operator("activity for timer", calls("sleep"), activity_for_it),
    Operator("add a timer", commanding(), inserting(_NEW_TIMER)),
    Operator("remove a timer", commanding("sleep"), removed),
    Operator("remove a timer", calls("wait_condition"), without_patience),
    Operator("other duration", calls("sleep", "wait_condition"), longer),
    Operator("other argument", calls(*_ACTIVITY, *_LOCAL, *_CHILD, "execute_operation"), other_input),
    Operator("other time-out", calls(*_ACTIVITY, *_LOCAL), keyword("start_to_close_timeout", "timedelta(seconds=77)")),
    Operator("other time-out", calls(*_ACTIVITY), keyword("heartbeat_timeout", "timedelta(seconds=7)")),
    Operator(
        "other retry policy", calls(*_ACTIVITY, *_LOCAL), keyword("retry_policy", "RetryPolicy(maximum_attempts=7)")
    ),
    Operator("other task queue", calls(*_ACTIVITY, *_CHILD), keyword("task_queue", "'elsewhere'")),
    Operator("early return", commanding(), inserting("return None")),
    Operator("other result", returns, other_result),
    Operator("other update result", handler("update"), update_answers),
    Operator(
        "child for activity", calls(*_ACTIVITY), becoming("_child_workflow", "args result_type", id="'made-a-child'")
    ),
    Operator("add a child", commanding(), inserting(_NEW_CHILD)),
    Operator(
        "activity for child",
        calls(*_CHILD),
        becoming("_activity", "args", start_to_close_timeout="timedelta(seconds=10)"),
    ),
    Operator("other child", calls(*_CHILD), first_argument),
    Operator("other child", calls(*_CHILD), keyword("id", "'another-child'")),
    Operator("other child option", calls(*_CHILD), keyword("execution_timeout", "timedelta(hours=1)")),
    Operator("local for remote", calls(*_ACTIVITY), becoming("_local_activity", "args start_to_close_timeout")),
    Operator("remote for local", calls(*_LOCAL), becoming("_activity", "args start_to_close_timeout retry_policy")),
    Operator("other signal name", handler("signal"), under_other_name("signal")),
    Operator("other signal name", calls("signal"), first_argument),
    Operator("other update name", handler("update"), under_other_name("update")),
    Operator("other target", calls("get_external_workflow_handle"), first_argument),
    Operator("other operation", calls("execute_operation", "start_operation"), first_argument),
    Operator("patch removed", patched, keeping("body")),
    Operator("patch removed", patched, keeping("orelse")),
    Operator("other patch", calls("patched"), first_argument),
    Operator(
        "patch without guard", commanding(), inserting("if workflow.patched('new'):\n    pass", NEW_ACTIVITY)
    ),
    Operator("loop bound", loops, bound("- 1")),
    Operator("loop bound", loops, bound("+ 1")),
    Operator("loop bound", numbers, one_more),
    Operator("set iteration", loops, over("set({})"), forced=over("list({})[::-1]")),
    Operator("set iteration", calls("gather"), gathered("set({})"), forced=gathered("list({})[::-1]")),
    Operator("clock in a branch", **by_chance("datetime.now().microsecond % 2")),
    Operator("clock in a branch", **by_chance("time.time() % 2 < 1")),
    Operator("clock in a branch", **by_chance("time.time() - workflow.time() > 3600")),
    Operator("clock in a branch", **by_chance("datetime.now().hour < 12")),
    Operator("chance in a branch", **by_chance("random.random() < 0.5")),
    Operator("clock in the sandbox", commanding(), inserting("if datetime.now().second % 2:\n    " + _NEW_TIMER)),
    Operator("raise in the middle", commanding(), inserting("raise RuntimeError('in the middle')")),
    Operator("raise after the record", ends, raising_at_end),
    Operator("other failure", failures, other_failure),
    Operator("failure not caught", guards, uncaught),
    Operator("condition negated", conditions, negated),
    Operator("not cancelled", cancels, removed),
    Operator("other memo or attribute", calls("upsert_memo", "upsert_search_attributes"), constants),
    Operator("not continued as new", lambda tree: [s for s in spots(tree) if asks(s.statement, "continue_as_new")],
             lambda spot: spot.replace("return None")),
    Operator("continued with other arguments", calls("continue_as_new"), other_input),
)  # fmt: skip

# A single replay passes these by luck: they are replayed several times, in varied conditions.
LATENT = {"set iteration", "clock in a branch", "chance in a branch"}
