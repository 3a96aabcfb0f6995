"""The edits that keep what a workflow does: whoever tells of one of these cries wolf."""

from __future__ import annotations

import ast
import io
import tokenize
from typing import Any

from tests.drills.mutants.changing_edits import NEW_ACTIVITY, guards, inserting, keyword, loops, returns
from tests.drills.mutants.operators import (
    FUNCTIONS,
    Function,
    Operator,
    Spot,
    calls,
    commanding,
    expression,
    functions,
    name_of,
    names,
    parsed,
    spots,
    workflow_classes,
)

_GUARDED = ("if workflow.patched('new'):", f"    {NEW_ACTIVITY}")


def whole(tree: ast.Module) -> list[ast.Module]:
    """The module itself, for what is not about one place in it."""
    return [tree]


def nothing(tree: ast.Module) -> None:
    """The tree stays; what changes is the text."""


def exploded(source: str) -> str:
    """Every part of every bracket on a line of its own, with blank lines and remarks."""
    lines = source.splitlines(keepends=True)
    depth = 0
    breaks: list[tuple[int, int]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
            if depth and token.string in "([{,":
                breaks.append(token.end)
        elif token.type == getattr(tokenize, "FSTRING_START", -1):
            return source + "\n# the end\n"
    for row, column in reversed(breaks):
        lines[row - 1] = f"{lines[row - 1][:column]}  # so\n    {lines[row - 1][column:]}"
    return "".join(["# moved down\n\n\n", *lines])


def locals_of(function: Function) -> set[str]:
    """The variables that a method writes."""
    return names(function, ast.Store) if isinstance(function, FUNCTIONS) else set()


def rename_locals(function: Function) -> bool:
    """Every variable of its own gets another name; parameters keep theirs."""
    own = locals_of(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in own:
            node.id = f"{node.id}_renamed"
    return bool(own)


def extractable(tree: ast.Module) -> list[tuple[ast.ClassDef, Function, ast.Await]]:
    """Awaited calls in methods, each with its method and class."""
    found: list[tuple[ast.ClassDef, Function, ast.Await]] = []
    for owner in workflow_classes(tree):
        for function in [one for one in owner.body if isinstance(one, ast.AsyncFunctionDef)]:
            awaits = [one for one in ast.walk(function) if isinstance(one, ast.Await)]
            found += [(owner, function, one) for one in awaits if name_of(one.value).startswith("execute_")]
    return found


def extracted(place: tuple[ast.ClassDef, Function, ast.Await]) -> None:
    """The call moves to a method of its own, with what it needs as parameters."""
    owner, function, awaited = place
    arguments = {one.arg for one in function.args.args} - {"self"}
    needed = sorted(names(awaited, ast.Load) & (arguments | locals_of(function)))
    text = f"async def extracted(self, {', '.join(needed)}):\n    return {ast.unparse(awaited)}"
    owner.body += parsed(text)
    awaited.value = expression(f"self.extracted({', '.join(needed)})")


def logging_first(function: Function) -> bool:
    """A line in the log, where that is allowed: a decorated method stays what it is."""
    if function.name == "__init__":
        return False
    function.body[:0] = parsed(f"workflow.logger.info('in %s', '{function.name}')")
    return True


def log_before(spot: Spot) -> None:
    """A line in the log right before a command."""
    spot.insert("workflow.logger.warning('now at %d', 1)")


def helper_methods(tree: ast.Module) -> list[tuple[ast.Module, Function]]:
    """Methods that nobody but the workflow calls."""
    return [(tree, one) for one in functions(tree) if not one.decorator_list and not one.name.startswith("__")]


def rename_method(place: tuple[ast.Module, Function]) -> None:
    """The method and all who call it."""
    tree, function = place
    old, function.name = function.name, f"{function.name}_renamed"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == old and ast.unparse(node.value) == "self":
            node.attr = function.name


def order_of_methods(owner: ast.ClassDef) -> bool:
    """Methods in another order; what decorates with another method must stay behind that."""
    moved = [one for one in owner.body if isinstance(one, FUNCTIONS)]
    if len(moved) < 2 or any("validator" in ast.unparse(by) for one in moved for by in one.decorator_list):
        return False
    kept = [one for one in owner.body if one not in moved]
    owner.body = [*kept, *reversed(moved)]
    return True


def class_renamed(owner: ast.ClassDef) -> bool:
    """The class has another name, the type has not."""
    if ast.unparse(owner.decorator_list[0]) != "workflow.defn":
        return False
    owner.decorator_list = [expression(f"workflow.defn(name='{owner.name}')")]
    return True


def activities(tree: ast.Module) -> list[tuple[ast.Module, Function]]:
    """Activities that have the name of their function."""
    return [
        (tree, one)
        for one in tree.body
        if isinstance(one, FUNCTIONS) and [ast.unparse(by) for by in one.decorator_list] == ["activity.defn"]
    ]


def function_renamed(place: tuple[ast.Module, Function]) -> None:
    """The activity's function has another name, its type has not."""
    tree, function = place
    old, function.name = function.name, f"{function.name}_function"
    function.decorator_list = [expression(f"activity.defn(name='{old}')")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = function.name


def in_two_steps(spot: Spot) -> bool:
    """A coroutine is made first and awaited in the next line."""
    statement = spot.statement
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Await):
        return False
    made = ast.unparse(statement.value.value)
    statement.value = expression("await coming")
    spot.insert(f"coming = {made}")
    return True


def lambdas(tree: ast.Module) -> list[Spot]:
    """Statements with a lambda in them."""
    return [spot for spot in spots(tree) if any(isinstance(node, ast.Lambda) for node in ast.walk(spot.statement))]


def named_function(spot: Spot) -> bool:
    """What was a lambda is a function of its own."""
    statement = spot.statement
    if hasattr(statement, "body"):
        return False
    call = next(node for node in ast.walk(statement) if isinstance(node, ast.Call) and node.args)
    if not isinstance(call.args[0], ast.Lambda):
        return False
    text = ast.unparse(call.args[0].body)
    call.args[0] = ast.Name("is_so", ast.Load())
    spot.insert("def is_so():", f"    return {text}")
    return True


def other_words(call: ast.Call) -> None:
    """The same length of time, counted in other units."""
    (unit,) = call.keywords
    unit.value = expression(f"{ast.unparse(unit.value)} * 1000")
    unit.arg = "milliseconds"


def in_seconds(tree: ast.Module) -> list[ast.Call]:
    """Lengths of time in seconds."""
    found = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and ast.unparse(one.func) == "timedelta"]
    return [one for one in found if [given.arg for given in one.keywords] == ["seconds"]]


def result_in_variable(spot: Spot) -> None:
    """The result is named before it is returned."""
    assert isinstance(spot.statement, ast.Return)
    value = ast.unparse(spot.statement)[7:]
    spot.replace(f"outcome = {value}", "return outcome")


def iterated(loop: Any) -> bool:
    """A copy is looped over."""
    loop.iter = expression(f"list({ast.unparse(loop.iter)})")
    return True


def caught_and_raised(spot: Spot) -> None:
    """Everything is caught, and raised again as it is."""
    inner = ast.unparse(spot.statement).splitlines()
    spot.replace("try:", *(f"    {line}" for line in inner), "except Exception:", "    raise")


def default_written_out(call: ast.Call) -> bool:
    """No retry policy, said in so many words."""
    if any(one.arg == "retry_policy" for one in call.keywords):
        return False
    keyword("retry_policy", "None")(call)
    return True


def unused_parts(owner: ast.ClassDef) -> None:
    """A query and a signal that nobody uses."""
    owner.body += parsed("@workflow.query\ndef added_query(self) -> int:\n    return 7")
    owner.body += parsed("@workflow.signal\ndef added_signal(self) -> None:\n    pass")


KEEPING: tuple[Operator, ...] = (
    Operator("variables renamed", functions, rename_locals),
    Operator("method extracted", extractable, extracted),
    Operator("log line added", functions, logging_first),
    Operator("log line added", commanding(), log_before),
    Operator("reformatted", whole, nothing, whole=lambda source: source + "\n"),
    Operator("reformatted", whole, nothing, whole=exploded),
    Operator("helper renamed", helper_methods, rename_method),
    Operator("methods in another order", workflow_classes, order_of_methods),
    Operator("type named explicitly", workflow_classes, class_renamed),
    Operator("activity function renamed", activities, function_renamed),
    Operator("awaited in two steps", commanding(), in_two_steps),
    Operator("lambda made a function", lambdas, named_function),
    Operator("same time in other words", in_seconds, other_words),
    Operator("result in a variable", returns, result_in_variable),
    Operator("list of what is looped over", loops, iterated),
    Operator("caught and raised again", guards, caught_and_raised),
    Operator("query and signal added", workflow_classes, unused_parts),
    Operator("default written out", calls("execute_activity"), default_written_out),
    Operator("new step behind a patch", commanding(), inserting(*_GUARDED)),
    Operator("assertion that holds", commanding(), inserting("assert workflow.info().run_id")),
)  # fmt: skip
