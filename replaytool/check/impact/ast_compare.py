"""Compare two versions of a module as far as a recorded run came into them.

Python code has no jumps: a statement without a line event did not run, and neither did the ones after it in its block,
so their text makes no difference to that run. Both trees are walked side by side down to where the run went.
Whatever is not provably equal counts as different.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from types import CodeType

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# These decorators do not look at the function's body, and each call still runs it.
_SEEN_THROUGH = {
    "workflow.run", "workflow.signal", "workflow.update", "workflow.query", "workflow.init", "activity.defn",
    "staticmethod", "classmethod", "property", "override",
}  # fmt: skip
# Calls that look at local names: every name of the function matters then.
_LOOKS_AROUND = {"locals", "vars", "dir", "eval", "exec"}
_HIDDEN = ast.Pass()


@dataclass(frozen=True)
class ModuleVersion:
    """One version of one module."""

    tree: ast.Module
    outside: str
    """A dump of everything except function bodies: the code that an import runs."""
    functions: tuple[Function, ...]
    """Functions whose bodies are not in `outside`, in source order."""
    code: CodeType


def parse_module(text: bytes, name: str) -> ModuleVersion:
    """Parse one version; raise SyntaxError for text that is not Python."""
    tree = ast.parse(text)
    found: list[Function] = []
    outside = ast.dump(_BodyStripper(found).visit(ast.parse(text)))
    return ModuleVersion(tree, outside, tuple(found), compile(text, name, "exec", dont_inherit=True))


class _BodyStripper(ast.NodeTransformer):
    """Removes the bodies of functions at module and class level, and collects those functions."""

    def __init__(self, found: list[Function]) -> None:
        self._found = found

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._strip_body(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._strip_body(node)

    def _strip_body(self, node: Function) -> ast.AST:
        """Strip the body but keep a docstring: it is part of the function object, and code may read it."""
        if not all(_keeps_function_body(one) for one in node.decorator_list):
            return node
        whole = type(node)(**{name: getattr(node, name) for name in node._fields})
        self._found.append(ast.copy_location(whole, node))
        node.body = [*(node.body[:1] if ast.get_docstring(node) is not None else []), _HIDDEN]
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node


def _keeps_function_body(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = ast.unparse(target)
    return any(name == one or name.endswith(f".{one}") for one in _SEEN_THROUGH) or name.endswith(".setter")


def changed_functions(before: ModuleVersion, after: ModuleVersion) -> Iterator[tuple[Function, Function]]:
    """Return the functions whose bodies differ. Both modules must have the same `outside`."""
    for one, other in zip(before.functions, after.functions, strict=True):
        if ast.dump(one) != ast.dump(other):
            yield one, other


def is_same_for_lines(
    before: ModuleVersion, after: ModuleVersion, one: Function, other: Function, lines: Set[int]
) -> bool:
    """Return whether a run that came by these lines of `one` takes the same way through `other`."""
    first, last = one.body[0].lineno, one.end_lineno or one.lineno
    mine = {line for line in lines if first <= line <= last}
    if not mine:
        return True
    code, changed = _find_code_object(before.code, one), _find_code_object(after.code, other)
    if code is None or changed is None or code.co_flags != changed.co_flags:
        return False
    walk = _BlockComparison(mine, frozenset(_executable_lines(code)))
    if not walk.compare_blocks(one.body, other.body):
        return False
    return not walk.names & _LOOKS_AROUND and all(
        _name_scope(code, name) == _name_scope(changed, name) for name in walk.names
    )


def _find_code_object(code: CodeType, function: Function) -> CodeType | None:
    first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_name == function.name and inner.co_firstlineno == first:
                return inner
            found = _find_code_object(inner, function)
            if found is not None:
                return found
    return None


def _executable_lines(code: CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _executable_lines(inner)


def _name_scope(code: CodeType, name: str) -> str:
    """Return the scope of a name: an assignment anywhere in the function changes it."""
    if name in code.co_freevars:
        return "free"
    return "local" if name in code.co_varnames or name in code.co_cellvars else "global"


class _BlockComparison:
    """Walks two functions side by side and collects the names that the run used."""

    def __init__(self, lines: Set[int], executable: Set[int]) -> None:
        self._lines, self._executable = lines, executable
        self.names: set[str] = set()
        """Names that the run used."""

    def compare_blocks(self, before: Sequence[ast.stmt], after: Sequence[ast.stmt]) -> bool:
        """Return whether the run does the same in both blocks.

        Statements that only the second block has count as reached, because nothing proves the opposite.
        """
        if not before:
            return not after
        reached = self._count_reached(before)
        if not reached:
            return True
        if len(after) < reached or (reached == len(before) and len(after) != reached):
            return False
        return all(map(self._compare_statements, before[:reached], after[:reached]))

    def _count_reached(self, block: Sequence[ast.stmt]) -> int:
        """Count the reached statements; those without bytecode count with the statement before them."""
        last = max((at + 1 for at, one in enumerate(block) if self._is_reached(one)), default=0)
        while 0 < last < len(block) and self._executable.isdisjoint(_statement_lines(block[last])):
            last += 1
        return last

    def _is_reached(self, node: ast.AST) -> bool:
        return not self._lines.isdisjoint(_statement_lines(node))

    def _compare_statements(self, before: ast.stmt, after: ast.stmt) -> bool:
        if type(before) is not type(after):
            return False
        parts = _PARTS.get(type(before), ())
        if not self._compare_fields(before, after, parts):
            return False
        return all(self._compare_parts(getattr(before, name), getattr(after, name)) for name in parts)

    def _compare_parts(self, before: Sequence[ast.AST], after: Sequence[ast.AST]) -> bool:
        """Compare blocks, handlers or cases of a statement."""
        held = [*before, *after]
        if any(isinstance(one, ast.ExceptHandler) for one in held):
            return self._compare_handlers(before, after)
        if any(isinstance(one, ast.match_case) for one in held):
            return self._compare_cases(before, after)
        return self.compare_blocks(before, after)  # type: ignore[arg-type]

    def _compare_handlers(self, before: Sequence[ast.AST], after: Sequence[ast.AST]) -> bool:
        """Compare exception handlers. They cannot matter as long as nothing was raised."""
        if before and not any(self._is_reached(one) for one in before):
            return True
        return self._compare_cases(before, after)

    def _compare_cases(self, before: Sequence[ast.AST], after: Sequence[ast.AST]) -> bool:
        if len(before) != len(after):
            return False
        return all(
            self._compare_fields(one, other, ("body",)) and self.compare_blocks(one.body, other.body)  # type: ignore[attr-defined]
            for one, other in zip(before, after, strict=True)
        )

    def _compare_fields(self, before: ast.AST, after: ast.AST, parts: Sequence[str]) -> bool:
        for name in before._fields:
            if name in parts:
                continue
            one, other = getattr(before, name, None), getattr(after, name, None)
            if _dump_node(one) != _dump_node(other):
                return False
            self.names |= _used_names(one)
        return True


def _statement_lines(node: ast.AST) -> range:
    """Return the lines of a statement, handler or case, decorators included."""
    if isinstance(node, ast.match_case):
        return range(node.pattern.lineno, (node.body[-1].end_lineno or node.body[-1].lineno) + 1)
    assert isinstance(node, ast.stmt | ast.ExceptHandler)
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
    return range(first, (node.end_lineno or node.lineno) + 1)


def _dump_node(value: object) -> str:
    if isinstance(value, ast.AST):
        return ast.dump(value)
    return repr([_dump_node(one) for one in value]) if isinstance(value, list) else repr(value)


def _used_names(value: object) -> set[str]:
    nodes = value if isinstance(value, list) else [value]
    return {
        one.id for node in nodes if isinstance(node, ast.AST) for one in ast.walk(node) if isinstance(one, ast.Name)
    } | {value for value in nodes if isinstance(value, str)}


_LOOP = ("body", "orelse")
_TRY = ("body", "handlers", "orelse", "finalbody")
# Fields that hold nested blocks. Functions and classes inside a function are compared as a whole.
_PARTS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.If: _LOOP, ast.While: _LOOP, ast.For: _LOOP, ast.AsyncFor: _LOOP,
    ast.With: ("body",), ast.AsyncWith: ("body",), ast.Match: ("cases",), ast.Try: _TRY, ast.TryStar: _TRY,
}  # fmt: skip
