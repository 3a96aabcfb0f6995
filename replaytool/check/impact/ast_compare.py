"""Whether two versions of a module are the same to a run, as far as the run came into them.

Code that is structured has no jumps: a statement that no line event was seen of did not run, nor did any after it in
its block, and what stands there instead makes no difference. So the two trees are gone through side by side, down to
where the run went. Whatever is not provably the same is taken to differ.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from types import CodeType

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What these do to a function does not depend on its body, and each call of it still runs the body.
_SEEN_THROUGH = {
    "workflow.run", "workflow.signal", "workflow.update", "workflow.query", "workflow.init", "activity.defn",
    "staticmethod", "classmethod", "property", "override",
}  # fmt: skip
# Code that looks at names of its own function: any of them counts then.
_LOOKS_AROUND = {"locals", "vars", "dir", "eval", "exec"}
_HIDDEN = ast.Pass()


@dataclass(frozen=True)
class Module:
    """One version of one module."""

    tree: ast.Module
    outside: str
    """All but the bodies of its functions: what runs when it is imported."""
    functions: tuple[Function, ...]
    """Those whose bodies are not in `outside`, in the order of the source."""
    code: CodeType


def module_of(text: bytes, name: str) -> Module:
    """A version, taken apart; raises SyntaxError where it is no Python."""
    tree = ast.parse(text)
    found: list[Function] = []
    outside = ast.dump(_Outside(found).visit(ast.parse(text)))
    return Module(tree, outside, tuple(found), compile(text, name, "exec", dont_inherit=True))


class _Outside(ast.NodeTransformer):
    """Takes the bodies out of functions at the level of modules and classes."""

    def __init__(self, found: list[Function]) -> None:
        self._found = found

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._emptied(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._emptied(node)

    def _emptied(self, node: Function) -> ast.AST:
        """A docstring belongs to the function itself, and there are those who read it."""
        if not all(_is_seen_through(one) for one in node.decorator_list):
            return node
        whole = type(node)(**{name: getattr(node, name) for name in node._fields})
        self._found.append(ast.copy_location(whole, node))
        node.body = [*(node.body[:1] if ast.get_docstring(node) is not None else []), _HIDDEN]
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node


def _is_seen_through(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = ast.unparse(target)
    return any(name == one or name.endswith(f".{one}") for one in _SEEN_THROUGH) or name.endswith(".setter")


def differing(before: Module, after: Module) -> Iterator[tuple[Function, Function]]:
    """The functions whose bodies differ; to be asked only where all around them is the same."""
    for one, other in zip(before.functions, after.functions, strict=True):
        if ast.dump(one) != ast.dump(other):
            yield one, other


def is_same(before: Module, after: Module, one: Function, other: Function, lines: Set[int]) -> bool:
    """Whether a run that came by these lines of the first goes the same way through the second."""
    first, last = one.body[0].lineno, one.end_lineno or one.lineno
    mine = {line for line in lines if first <= line <= last}
    if not mine:
        return True
    code, changed = _code_of(before.code, one), _code_of(after.code, other)
    if code is None or changed is None or code.co_flags != changed.co_flags:
        return False
    walk = _Walk(mine, frozenset(_lines_of(code)))
    if not walk.blocks(one.body, other.body):
        return False
    return not walk.names & _LOOKS_AROUND and all(_sort(code, name) == _sort(changed, name) for name in walk.names)


def _code_of(code: CodeType, function: Function) -> CodeType | None:
    first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_name == function.name and inner.co_firstlineno == first:
                return inner
            found = _code_of(inner, function)
            if found is not None:
                return found
    return None


def _lines_of(code: CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _lines_of(inner)


def _sort(code: CodeType, name: str) -> str:
    """What the compiler takes a name for: an assignment anywhere in the function changes that."""
    if name in code.co_freevars:
        return "free"
    return "local" if name in code.co_varnames or name in code.co_cellvars else "global"


class _Walk:
    """Goes through two functions side by side."""

    def __init__(self, lines: Set[int], executable: Set[int]) -> None:
        self._lines, self._executable = lines, executable
        self.names: set[str] = set()
        """Those that the run used."""

    def blocks(self, before: Sequence[ast.stmt], after: Sequence[ast.stmt]) -> bool:
        """Whether the same happens in both. What only the second has may be come into, as far as anybody knows."""
        if not before:
            return not after
        reached = self._reached(before)
        if not reached:
            return True
        if len(after) < reached or (reached == len(before) and len(after) != reached):
            return False
        return all(map(self._statements, before[:reached], after[:reached]))

    def _reached(self, block: Sequence[ast.stmt]) -> int:
        """How many statements from the start; those that no code was made for count with the ones before them."""
        last = max((at + 1 for at, one in enumerate(block) if self._came_by(one)), default=0)
        while 0 < last < len(block) and self._executable.isdisjoint(_span(block[last])):
            last += 1
        return last

    def _came_by(self, node: ast.AST) -> bool:
        return not self._lines.isdisjoint(_span(node))

    def _statements(self, before: ast.stmt, after: ast.stmt) -> bool:
        if type(before) is not type(after):
            return False
        parts = _PARTS.get(type(before), ())
        if not self._same_but(before, after, parts):
            return False
        return all(self._parts(getattr(before, name), getattr(after, name)) for name in parts)

    def _parts(self, before: Sequence[ast.AST], after: Sequence[ast.AST]) -> bool:
        """Blocks of a statement, or its handlers and cases."""
        held = [*before, *after]
        if any(isinstance(one, ast.ExceptHandler) for one in held):
            return self._handlers(before, after)
        if any(isinstance(one, ast.match_case) for one in held):
            return self._cases(before, after)
        return self.blocks(before, after)  # type: ignore[arg-type]

    def _handlers(self, before: Sequence[ast.AST], after: Sequence[ast.AST]) -> bool:
        """Nobody looks at them as long as nothing is raised."""
        if before and not any(self._came_by(one) for one in before):
            return True
        return self._cases(before, after)

    def _cases(self, before: Sequence[ast.AST], after: Sequence[ast.AST]) -> bool:
        if len(before) != len(after):
            return False
        return all(
            self._same_but(one, other, ("body",)) and self.blocks(one.body, other.body)  # type: ignore[attr-defined]
            for one, other in zip(before, after, strict=True)
        )

    def _same_but(self, before: ast.AST, after: ast.AST, parts: Sequence[str]) -> bool:
        for name in before._fields:
            if name in parts:
                continue
            one, other = getattr(before, name, None), getattr(after, name, None)
            if _dump(one) != _dump(other):
                return False
            self.names |= _names(one)
        return True


def _span(node: ast.AST) -> range:
    """The lines of a statement, a handler or a case, with its decorators."""
    if isinstance(node, ast.match_case):
        return range(node.pattern.lineno, (node.body[-1].end_lineno or node.body[-1].lineno) + 1)
    assert isinstance(node, ast.stmt | ast.ExceptHandler)
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
    return range(first, (node.end_lineno or node.lineno) + 1)


def _dump(value: object) -> str:
    if isinstance(value, ast.AST):
        return ast.dump(value)
    return repr([_dump(one) for one in value]) if isinstance(value, list) else repr(value)


def _names(value: object) -> set[str]:
    nodes = value if isinstance(value, list) else [value]
    return {
        one.id for node in nodes if isinstance(node, ast.AST) for one in ast.walk(node) if isinstance(one, ast.Name)
    } | {value for value in nodes if isinstance(value, str)}


_LOOP = ("body", "orelse")
_TRY = ("body", "handlers", "orelse", "finalbody")
# The blocks of statements that hold some. Functions and classes inside functions are taken as a whole.
_PARTS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.If: _LOOP, ast.While: _LOOP, ast.For: _LOOP, ast.AsyncFor: _LOOP,
    ast.With: ("body",), ast.AsyncWith: ("body",), ast.Match: ("cases",), ast.Try: _TRY, ast.TryStar: _TRY,
}  # fmt: skip
