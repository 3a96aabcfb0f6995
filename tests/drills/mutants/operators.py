"""Edits of workflow code by machine: where in the syntax tree, what is done there, and which lines came out changed.

An operator is one row: a kind, a function that finds the places, and a function that edits one of them. Every place
that it finds in every fixture is a mutant.
"""

from __future__ import annotations

import ast
import copy
import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMMANDS = {
    "execute_activity", "start_activity", "execute_local_activity", "start_local_activity", "execute_child_workflow",
    "start_child_workflow", "sleep", "wait_condition", "continue_as_new", "upsert_memo", "upsert_search_attributes",
    "signal", "cancel", "execute_operation", "start_operation", "patched", "deprecate_patch",
}  # fmt: skip
_IMPORTS = {
    "timedelta": "from datetime import timedelta",
    "datetime": "from datetime import datetime",
    "RetryPolicy": "from temporalio.common import RetryPolicy",
    "ApplicationError": "from temporalio.exceptions import ApplicationError",
    "asyncio": "import asyncio",
    "random": "import random",
    "time": "import time",
}


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to edit code."""

    kind: str
    places: Callable[[ast.Module], list[Any]]
    edit: Callable[[Any], bool | None]
    """Changes one place in the tree; False where this place cannot be edited so."""
    sandbox: str = ""
    forced: Callable[[Any], bool | None] | None = None
    """For an edit that acts by chance: one that always acts, to know whether the place is reached at all."""
    whole: Callable[[str], str] | None = None
    """For an edit of the text and not of the tree."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edited version of a fixture's code."""

    case: str
    kind: str
    text: str
    edited: tuple[int, ...] = ()
    """The lines that are new or changed; where lines were only taken out, the line that came to stand there."""
    sandbox: str = ""
    forced: str | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """A statement, with the block that it stands in."""

    block: list[ast.stmt]
    index: int
    function: str

    @property
    def statement(self) -> ast.stmt:
        """The statement itself."""
        return self.block[self.index]

    @property
    def following(self) -> ast.stmt | None:
        """The one after it in the same block."""
        return self.block[self.index + 1] if self.index + 1 < len(self.block) else None

    def insert(self, *lines: str) -> None:
        """Put statements before this one."""
        self.block[self.index : self.index] = parsed("\n".join(lines))

    def replace(self, *lines: str) -> None:
        """Put statements in the place of this one."""
        self.block[self.index : self.index + 1] = parsed("\n".join(lines))


def parsed(text: str) -> list[ast.stmt]:
    """Statements from text, also where they make sense only inside a coroutine."""
    wrapped = "async def f():\n" + "\n".join("    " + line for line in text.splitlines())
    return cast(ast.AsyncFunctionDef, ast.parse(wrapped).body[0]).body


def expression(text: str) -> Any:
    """An expression from text."""
    return cast(ast.Expr, parsed(text)[0]).value


def workflow_classes(tree: ast.Module) -> list[ast.ClassDef]:
    """The classes that are replayed; what activities do is nobody's business here."""
    return [
        one for one in tree.body
        if isinstance(one, ast.ClassDef) and any("workflow.defn" in ast.unparse(by) for by in one.decorator_list)
    ]  # fmt: skip


def functions(tree: ast.Module) -> list[Function]:
    """The methods of workflows."""
    return [one for owner in workflow_classes(tree) for one in owner.body if isinstance(one, FUNCTIONS)]


def within(tree: ast.Module, kind: type[ast.AST]) -> list[Any]:
    """All nodes of one sort in workflow code."""
    return [node for owner in workflow_classes(tree) for node in ast.walk(owner) if isinstance(node, kind)]


def calls(*names: str) -> Callable[[ast.Module], list[ast.Call]]:
    """Finds calls of methods with one of these names."""
    return lambda tree: [call for call in within(tree, ast.Call) if name_of(call) in names]


def name_of(call: ast.AST) -> str:
    """The last part of the name of what is called."""
    return call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""


def spots(tree: ast.Module) -> list[Spot]:
    """All statements of workflow code."""
    return [spot for function in functions(tree) for spot in _spots(function.body, function.name)]


def _spots(block: list[ast.stmt], function: str) -> Iterator[Spot]:
    for index, statement in enumerate(block):
        yield Spot(block, index, function)
        for name in ("body", "orelse", "finalbody"):
            yield from _spots(getattr(statement, name, []), function)
        for handler in getattr(statement, "handlers", []):
            yield from _spots(handler.body, function)


def asks(statement: ast.AST | None, *names: str) -> bool:
    """Whether a plain statement asks for a command (one of these, or any)."""
    if statement is None or hasattr(statement, "body"):
        return False
    return any(name_of(node) in (names or _COMMANDS) for node in ast.walk(statement))


def commanding(*names: str) -> Callable[[ast.Module], list[Spot]]:
    """Finds the statements that ask for one of these commands, in coroutines."""
    return lambda tree: [spot for spot in spots(tree) if asks(spot.statement, *names) and _awaits(spot.statement)]


def _awaits(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Await) for node in ast.walk(statement))


def names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """The variables that are read or written in there."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, context)}


def mutants(case: str, source: str, operators: tuple[Operator, ...]) -> Iterator[Mutant]:
    """Every place of every operator in this code."""
    tree = ast.parse(source)
    before = text_of(tree)
    seen = {before}
    for one in operators:
        for number in range(len(one.places(tree))):
            text = _edited(tree, one, one.edit, number)
            if text is not None and one.whole:
                text = one.whole(source)
            if text is None or text in seen:
                continue
            seen.add(text)
            forced = _edited(tree, one, one.forced, number) if one.forced else None
            yield Mutant(case, one.kind, text, changed_lines(before, text), one.sandbox, forced)


def _edited(tree: ast.Module, one: Operator, edit: Callable[[Any], bool | None], number: int) -> str | None:
    twin = copy.deepcopy(tree)
    if edit(one.places(twin)[number]) is False:
        return None
    return text_of(twin)


def text_of(tree: ast.Module) -> str:
    """The code in one spelling, with the imports that an edit has made necessary."""
    missing = sorted(names(tree, ast.Load) & _IMPORTS.keys() - _bound(tree))
    start = 1 if ast.get_docstring(tree) is not None else 0
    tree.body[start:start] = [ast.parse(_IMPORTS[name]).body[0] for name in missing]
    text = ast.unparse(ast.fix_missing_locations(tree))
    compile(text, "mutant", "exec")
    return text + "\n"


def _bound(tree: ast.Module) -> set[str]:
    imported = [one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name for one in imported for alias in one.names}


def changed_lines(before: str, after: str) -> tuple[int, ...]:
    """The lines of the second text that the first has not, without imports."""
    left, right = before.splitlines(), after.splitlines()
    found: list[int] = []
    for tag, _, _, start, end in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag != "equal":
            found += range(start + 1, max(end, start + 1) + 1)
    wanted = [line for line in found if line <= len(right)]
    return tuple(line for line in wanted if right[line - 1] and not right[line - 1].startswith(("import ", "from ")))


def relation(mutant: Mutant, lines: list[int]) -> str:
    """How the lines that a verdict names (the innermost first) lie to the lines that were edited."""
    if not lines:
        return NOWHERE
    if lines[0] in mutant.edited:
        return "the line edited"
    if set(lines) & set(mutant.edited):
        return "awaited from the line edited"
    tree = ast.parse(mutant.text)
    after = {line for edit in mutant.edited for line in _first_commands_after(tree, edit)}
    return "the first command after it" if lines[0] in after else ELSEWHERE


NOWHERE, ELSEWHERE = "no line named: the code asks for nothing", "elsewhere"


def _first_commands_after(tree: ast.Module, edit: int) -> Iterator[int]:
    """The next line that asks for something; from a method of the workflow's own also where its caller goes on."""
    owner = next((one for one in functions(tree) if _start(one) <= edit <= (one.end_lineno or 0)), None)
    if owner is None:
        return
    own = {one.name: one for one in functions(tree)}
    yield from _next_command(owner, edit, own)
    for one in own.values():
        for call in ast.walk(one):
            if _own_method(call) == owner.name and isinstance(call, ast.Call):
                yield from _next_command(one, call.lineno, {})
                yield call.lineno


def _start(function: Function) -> int:
    return min([function.lineno, *(by.lineno for by in function.decorator_list)])


def _next_command(function: Function, line: int, own: dict[str, Function]) -> Iterator[int]:
    """From this line on; where a method of its own is called there, what that asks for first."""
    plain = [spot.statement for spot in _spots(function.body, function.name) if not hasattr(spot.statement, "body")]
    for one in sorted(plain, key=lambda one: one.lineno):
        called = next((own[name] for node in ast.walk(one) if (name := _own_method(node)) in own), None)
        if called is not None and called is not function and one.lineno >= line:
            yield from _next_command(called, 0, {})
            return
        if one.lineno > line and (asks(one) or isinstance(one, ast.Return | ast.Raise)):
            yield one.lineno
            return


def _own_method(node: ast.AST) -> str:
    named = (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "self"
    )
    return name_of(node) if named else ""
