"""The edits that change what a workflow does: where each can be made, and how."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from tests.drills.mutants.operators import (
    Function,
    Spot,
    asks,
    calls,
    expression,
    functions,
    name_of,
    names,
    parsed,
    spots,
    within,
)

NEW_ACTIVITY = "await workflow.execute_activity('added', start_to_close_timeout=timedelta(seconds=10))"


def inserting(*lines: str) -> Callable[[Spot], None]:
    """New statements before one."""
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
    call.args[0] = ast.Constant(f"{old.value!s}_v2" if isinstance(old, ast.Constant) else "renamed")
    return True


def other_input(call: ast.Call) -> bool:
    """Another value as the last argument of what is asked for."""
    listed = next((one.value for one in call.keywords if one.arg == "args"), None)
    target = listed.elts if isinstance(listed, ast.List) else call.args[1:] and call.args
    if not target:
        return False
    old = target[-1]
    doubled = old.value * 2 if isinstance(old, ast.Constant) and isinstance(old.value, str | int | float) else ""
    target[-1] = ast.Constant(doubled or "another")
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
    """A sleep instead, where it is awaited at once."""
    if not name_of(call).startswith("execute"):
        return False
    call.func, call.args, call.keywords = expression("workflow.sleep"), [ast.Constant(7)], []
    return True


def activity_for_it(call: ast.Call) -> bool:
    """An activity instead of a sleep."""
    if ast.unparse(call.func) != "workflow.sleep":
        return False
    new = expression(NEW_ACTIVITY).value
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
    """A wait that has no end of its own."""
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
    """Everything that goes over something."""
    return [*within(tree, ast.For), *within(tree, ast.comprehension)]


def reversed_literal(loop: Any) -> None:
    """The same parts, the last one first."""
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
    """The name of a plain function that is called."""
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
    """What is awaited together comes in another order."""

    def edit(call: ast.Call) -> bool:
        starred = [one for one in call.args if isinstance(one, ast.Starred)]
        for one in starred:
            one.value = expression(form.format(ast.unparse(one.value)))
        return bool(starred)

    return edit


def returns(tree: ast.Module) -> list[Spot]:
    """Where a workflow ends with a result."""
    found = [spot for spot in spots(tree) if isinstance(spot.statement, ast.Return) and spot.function == "run"]
    return [spot for spot in found if getattr(spot.statement, "value", None) is not None]


def other_result(spot: Spot) -> None:
    """A result with something more in it."""
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
    """A handler that listens to another name."""

    def edit(function: Function) -> None:
        function.decorator_list = [expression(f"workflow.{kind}(name='renamed')")]

    return edit


def update_answers(function: Function) -> bool:
    """An update that answers something else."""
    last = function.body[-1]
    if not isinstance(last, ast.Return) or last.value is None:
        return False
    last.value = expression(f"['other', {ast.unparse(last.value)}]")
    return True


def conditions(tree: ast.Module) -> list[Any]:
    """What is branched on or waited for."""
    waits = [one.args[0] for one in calls("wait_condition")(tree) if isinstance(one.args[0], ast.Lambda)]
    plain = [one for one in within(tree, ast.If) if name_of(one.test) != "patched"]
    return [*plain, *waits]


def negated(place: Any) -> None:
    """The opposite is asked."""
    field = "body" if isinstance(place, ast.Lambda) else "test"
    setattr(place, field, ast.UnaryOp(ast.Not(), getattr(place, field)))


def patched(tree: ast.Module) -> list[Spot]:
    """Branches on a patch."""
    return [
        spot for spot in spots(tree) if isinstance(spot.statement, ast.If) and name_of(spot.statement.test) == "patched"
    ]


def keeping(branch: str) -> Callable[[Spot], bool]:
    """One branch alone is left."""

    def edit(spot: Spot) -> bool:
        kept = getattr(spot.statement, branch)
        spot.block[spot.index : spot.index + 1] = kept or [ast.Pass()]
        return True

    return edit


def guards(tree: ast.Module) -> list[Spot]:
    """Statements that catch."""
    return [spot for spot in spots(tree) if isinstance(spot.statement, ast.Try)]


def uncaught(spot: Spot) -> None:
    """Nothing is caught any more."""
    assert isinstance(spot.statement, ast.Try)
    spot.block[spot.index : spot.index + 1] = [*spot.statement.body, *spot.statement.finalbody]


def ends(tree: ast.Module) -> list[Function]:
    """The main methods of workflows."""
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
    """What is raised."""
    return [one.exc for one in within(tree, ast.Raise) if isinstance(one.exc, ast.Call)]


def other_failure(call: ast.Call) -> None:
    """The same type, another message."""
    call.args[0] = ast.Constant("another failure")


def cancels(tree: ast.Module) -> list[Spot]:
    """Statements that cancel something."""
    return [spot for spot in spots(tree) if asks(spot.statement, "cancel") and isinstance(spot.statement, ast.Expr)]


def numbers(tree: ast.Module) -> list[Any]:
    """Module constants that are numbers, and bounds of conditions."""
    named = [one for one in tree.body if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)]
    return [one.value for one in named if type(getattr(one.value, "value", None)) is int]


def one_more(constant: ast.Constant) -> None:
    """The next number."""
    assert isinstance(constant.value, int)
    constant.value += 1
