"""The edits that change what a workflow does, by kind."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from benchmarks.mutants import (
    Function,
    Operator,
    Spot,
    asks,
    calls,
    commanding,
    expression,
    functions,
    name_of,
    names,
    parsed,
    spots,
    within,
)

_ACTIVITY = ("execute_activity", "start_activity")
_LOCAL = ("execute_local_activity", "start_local_activity")
_CHILD = ("execute_child_workflow", "start_child_workflow")
_NEW_ACTIVITY = "await workflow.execute_activity('added', start_to_close_timeout=timedelta(seconds=10))"
_NEW_CHILD = "await workflow.execute_child_workflow('Added', id='added')"
_NEW_TIMER = "await workflow.sleep(5)"


def inserting(*lines: str) -> Callable[[Spot], None]:
    return lambda spot: spot.insert(*lines)


def keyword(name: str, value: str) -> Callable[[ast.Call], None]:
    """Gives a call this keyword, in place of one that it has."""

    def edit(call: ast.Call) -> None:
        call.keywords = [one for one in call.keywords if one.arg != name]
        call.keywords.append(ast.keyword(name, expression(value)))

    return edit


def first_argument(call: ast.Call) -> bool:
    """Another name: of the activity, the child or the operation."""
    if not call.args:
        return False
    old = call.args[0]
    call.args[0] = ast.Constant(f"{old.value}_v2" if isinstance(old, ast.Constant) else "renamed")
    return True


def other_input(call: ast.Call) -> bool:
    """Another value as the last argument of what is asked for."""
    listed = next((one.value for one in call.keywords if one.arg == "args"), None)
    target = listed.elts if isinstance(listed, ast.List) else call.args[1:] and call.args
    if not target:
        return False
    old = target[-1]
    target[-1] = ast.Constant(old.value * 2 if isinstance(old, ast.Constant) and old.value else "another")
    return True


def becoming(method: str, keeps: str = "", **given: str) -> Callable[[ast.Call], bool]:
    """The same call of another method; only the keywords named are kept, and the others given."""

    def edit(call: ast.Call) -> bool:
        assert isinstance(call.func, ast.Attribute)
        if call.args and isinstance(call.args[0], ast.Name | ast.Attribute) and "local" not in method:
            call.args[0] = ast.Constant(ast.unparse(call.args[0]).removesuffix(".run"))
        prefix = call.func.attr.partition("_")[0] if method.startswith("_") else ""
        call.func.attr = prefix + method
        call.keywords = [one for one in call.keywords if one.arg in keeps.split()]
        call.keywords += [ast.keyword(name, expression(value)) for name, value in given.items()]
        return True

    return edit


def timer_for_it(call: ast.Call) -> bool:
    if not name_of(call).startswith("execute"):
        return False
    call.func, call.args, call.keywords = expression("workflow.sleep"), [ast.Constant(7)], []
    return True


def activity_for_it(call: ast.Call) -> bool:
    if ast.unparse(call.func) != "workflow.sleep":
        return False
    new = expression(_NEW_ACTIVITY).value
    call.func, call.args, call.keywords = new.func, new.args, new.keywords
    return True


def longer(call: ast.Call) -> bool:
    """A sleep or a patience of other length."""
    if name_of(call) == "sleep":
        call.args[0] = ast.BinOp(call.args[0], ast.Add(), ast.Constant(1))
        return True
    patience = [one for one in call.keywords if one.arg == "timeout"]
    for one in patience:
        one.value = expression("timedelta(seconds=77)")
    return bool(patience)


def without_patience(call: ast.Call) -> bool:
    before = len(call.keywords)
    call.keywords = [one for one in call.keywords if one.arg != "timeout"]
    return len(call.keywords) < before


def removed(spot: Spot) -> None:
    """The command is gone, and what it gave is nothing."""
    statement = spot.statement
    if isinstance(statement, ast.Assign | ast.Return):
        statement.value = ast.Constant(None)
    else:
        spot.replace("pass")


def swapped(spot: Spot) -> bool:
    """Two commands in a row change places, where the second does not need what the first gives."""
    first, second = spot.statement, spot.following
    if second is None or not (asks(first) and asks(second)) or names(first, ast.Store) & names(second, ast.Load):
        return False
    spot.block[spot.index : spot.index + 2] = [second, first]
    return True


def literals(tree: ast.Module) -> list[Any]:
    """What loops and comprehensions go over, where it is written out."""
    return [one for one in loops(tree) if isinstance(one.iter, ast.List | ast.Tuple) and len(one.iter.elts) > 1]


def loops(tree: ast.Module) -> list[Any]:
    return [*within(tree, ast.For), *within(tree, ast.comprehension)]


def reversed_literal(loop: Any) -> None:
    loop.iter.elts.reverse()


def bound(change: str) -> Callable[[Any], bool]:
    """One turn less, or more, or only the first."""

    def edit(loop: Any) -> bool:
        if name_of_plain(loop.iter) == "range":
            loop.iter.args[-1] = expression(f"{ast.unparse(loop.iter.args[-1])} {change}")
        elif change.startswith("-"):
            loop.iter = expression(f"list({ast.unparse(loop.iter)})[:-1]")
        else:
            loop.iter = expression(f"[*(found := list({ast.unparse(loop.iter)})), found[-1]]")
            return isinstance(loop, ast.For)
        return True

    return edit


def name_of_plain(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def over(form: str) -> Callable[[Any], bool]:
    """The loop goes over the same in another order."""

    def edit(loop: Any) -> bool:
        if name_of_plain(loop.iter) == "range":
            return False
        loop.iter = expression(form.format(ast.unparse(loop.iter)))
        return True

    return edit


def gathered(form: str) -> Callable[[ast.Call], bool]:
    def edit(call: ast.Call) -> bool:
        starred = [one for one in call.args if isinstance(one, ast.Starred)]
        for one in starred:
            one.value = expression(form.format(ast.unparse(one.value)))
        return bool(starred)

    return edit


def returns(tree: ast.Module) -> list[Spot]:
    found = [spot for spot in spots(tree) if isinstance(spot.statement, ast.Return) and spot.function == "run"]
    return [spot for spot in found if getattr(spot.statement, "value", None) is not None]


def other_result(spot: Spot) -> None:
    assert isinstance(spot.statement, ast.Return)
    spot.statement.value = expression(f"['other', {ast.unparse(spot.statement)[7:]}]")


def handler(kind: str) -> Callable[[ast.Module], list[Function]]:
    """Methods with this decorator."""
    return lambda tree: [
        one
        for one in functions(tree)
        if any(f"workflow.{kind}" == ast.unparse(by).partition("(")[0] for by in one.decorator_list)
    ]


def under_other_name(kind: str) -> Callable[[Function], None]:
    def edit(function: Function) -> None:
        function.decorator_list = [expression(f"workflow.{kind}(name='renamed')")]

    return edit


def update_answers(function: Function) -> bool:
    last = function.body[-1]
    if not isinstance(last, ast.Return) or last.value is None:
        return False
    last.value = expression(f"['other', {ast.unparse(last.value)}]")
    return True


def conditions(tree: ast.Module) -> list[Any]:
    waits = [one.args[0] for one in calls("wait_condition")(tree) if isinstance(one.args[0], ast.Lambda)]
    plain = [one for one in within(tree, ast.If) if name_of(one.test) != "patched"]
    return [*plain, *waits]


def negated(place: Any) -> None:
    field = "body" if isinstance(place, ast.Lambda) else "test"
    setattr(place, field, ast.UnaryOp(ast.Not(), getattr(place, field)))


def patched(tree: ast.Module) -> list[Spot]:
    return [
        spot for spot in spots(tree) if isinstance(spot.statement, ast.If) and name_of(spot.statement.test) == "patched"
    ]


def keeping(branch: str) -> Callable[[Spot], bool]:
    def edit(spot: Spot) -> bool:
        kept = getattr(spot.statement, branch)
        spot.block[spot.index : spot.index + 1] = kept or [ast.Pass()]
        return True

    return edit


def guards(tree: ast.Module) -> list[Spot]:
    return [spot for spot in spots(tree) if isinstance(spot.statement, ast.Try)]


def uncaught(spot: Spot) -> None:
    assert isinstance(spot.statement, ast.Try)
    spot.block[spot.index : spot.index + 1] = [*spot.statement.body, *spot.statement.finalbody]


def ends(tree: ast.Module) -> list[Function]:
    return [one for one in functions(tree) if one.name == "run" or handler("run")(tree) == [one]]


def raising_at_end(function: Function) -> None:
    """The last thing that it does before it ends is to fail."""
    block = function.body
    place = len(block) - isinstance(block[-1], ast.Return)
    block[place:place] = parsed("raise RuntimeError('after the record')")


def constants(call: ast.Call) -> bool:
    """The last value written in a memo or in search attributes."""
    found = [one for part in call.args for one in ast.walk(part) if isinstance(one, ast.Constant)]
    for one in found[-1:]:
        one.value = "different"
    return bool(found)


def failures(tree: ast.Module) -> list[ast.Call]:
    return [one.exc for one in within(tree, ast.Raise) if isinstance(one.exc, ast.Call)]


def other_failure(call: ast.Call) -> None:
    call.args[0] = ast.Constant("another failure")


def cancels(tree: ast.Module) -> list[Spot]:
    return [spot for spot in spots(tree) if asks(spot.statement, "cancel") and isinstance(spot.statement, ast.Expr)]


def numbers(tree: ast.Module) -> list[Any]:
    """Module constants that are numbers, and bounds of conditions."""
    named = [one for one in tree.body if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)]
    return [one.value for one in named if type(getattr(one.value, "value", None)) is int]


def one_more(constant: ast.Constant) -> None:
    assert isinstance(constant.value, int)
    constant.value += 1


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
    Operator("add an activity", commanding(), inserting(_NEW_ACTIVITY)),
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
        "patch without guard", commanding(), inserting("if workflow.patched('new'):\n    pass", _NEW_ACTIVITY)
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
