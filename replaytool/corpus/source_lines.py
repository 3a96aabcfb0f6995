"""What there is to reach in workflow code: the lines and the branches of the functions that a workflow may come to.

That is told from the source alone: the methods of workflow classes, and whatever function is mentioned, by name, in a
function that counts already. Activities and queries never run in a replay.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType

from replaytool.replay.line_coverage import END, Reach

Function = ast.FunctionDef | ast.AsyncFunctionDef
_NEVER = ("activity.defn", "workflow.query")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the ways on from a line."""

    line: int
    way: str
    """In words: "the condition holds"."""
    into: range = range(0)
    """Lines that tell that it was taken, where it has lines of its own."""
    test: range = range(0)
    beside: range = range(0)
    """Else: a step from the lines of the test to none of these tells it."""

    def is_taken(self, lines: frozenset[int], steps: Iterable[tuple[int, int]]) -> bool:
        """Whether these lines and steps come by here."""
        if self.into:
            return any(line in lines for line in self.into)
        return any(
            before in self.test and after not in self.test and after not in self.beside for before, after in steps
        )


@dataclass(frozen=True, slots=True)
class Source:
    """What counts in one file."""

    lines: frozenset[int] = frozenset()
    branches: tuple[Branch, ...] = ()
    patches: tuple[tuple[str, int], ...] = ()
    """Ids that the code asks for, with their lines."""


@dataclass(frozen=True, slots=True)
class _Piece:
    file: str
    node: Function
    counts: bool


def sources(files: Iterable[str]) -> dict[str, Source]:
    """What counts in each of these files; a file without anything is left out."""
    trees = {file: _parsed(file) for file in sorted(set(files))}
    pieces = [piece for file, (tree, _) in trees.items() for piece in _pieces(file, tree, is_workflow=False)]
    counted = _closed(pieces)
    found = {}
    for file, (_, text) in trees.items():
        nodes = [piece.node for piece in counted if piece.file == file]
        if nodes:
            found[file] = _source(nodes, compile(text, file, "exec", dont_inherit=True))
    return found


def _parsed(file: str) -> tuple[ast.Module, bytes]:
    with open(file, "rb") as stream:
        text = stream.read()
    return ast.parse(text), text


def _pieces(file: str, node: ast.AST, *, is_workflow: bool) -> Iterator[_Piece]:
    """Functions at the level of modules and classes; what stands inside them counts with them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            if not _is_made(child, *_NEVER):
                yield _Piece(file, child, is_workflow)
        elif isinstance(child, ast.ClassDef):
            yield from _pieces(file, child, is_workflow=_is_made(child, "workflow.defn"))
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _pieces(file, child, is_workflow=is_workflow)


def _is_made(node: Function | ast.ClassDef, *decorators: str) -> bool:
    return any(name in ast.unparse(one) for one in node.decorator_list for name in decorators)


def _closed(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Those that count, and those that they mention."""
    by_name: dict[str, list[_Piece]] = {}
    for piece in pieces:
        by_name.setdefault(piece.node.name, []).append(piece)
    counted = [piece for piece in pieces if piece.counts]
    seen = {id(piece.node) for piece in counted}
    for piece in counted:  # grows while it is gone through
        for name in _mentioned(piece.node):
            for other in by_name.get(name, ()):
                if id(other.node) not in seen:
                    seen.add(id(other.node))
                    counted.append(other)
    return counted


def _mentioned(node: ast.AST) -> set[str]:
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return names | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def _source(nodes: Sequence[Function], code: CodeType) -> Source:
    bodies = [range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1) for node in nodes]
    lines = frozenset(line for line in _executable(code) if any(line in body for body in bodies))
    branches = [one for node in nodes for inner in ast.walk(node) for one in _branches(inner) if one.line in lines]
    patches = {one for node in nodes for inner in ast.walk(node) for one in _patch(inner)}
    return Source(lines, tuple(sorted(set(branches), key=lambda one: (one.line, one.way))), tuple(sorted(patches)))


def _executable(code: CodeType) -> Iterator[int]:
    """The lines of functions that the compiler made anything of."""
    if code.co_flags & inspect.CO_OPTIMIZED:
        yield from (line for _, _, line in code.co_lines() if line)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _executable(inner)


def _branches(node: ast.AST) -> Iterator[Branch]:
    if isinstance(node, ast.If):
        yield from _two_ways(node, node.test, "the condition holds", "the condition does not hold")
    elif isinstance(node, ast.While):
        yield from _two_ways(node, node.test, "the loop is entered", "the loop comes to its end")
    elif isinstance(node, ast.For):
        yield from _two_ways(node, node.iter, "the loop is entered", "the loop comes to its end")
    elif isinstance(node, ast.Match):
        for case in node.cases:
            yield Branch(case.pattern.lineno, "the case is taken", _span(case.body))
    elif isinstance(node, ast.ExceptHandler):
        yield Branch(node.lineno, "the exception is caught", _span(node.body))


def _two_ways(node: ast.If | ast.While | ast.For, test: ast.expr, into: str, beside: str) -> Iterator[Branch]:
    head = range(node.lineno, (test.end_lineno or test.lineno) + 1)
    if node.body[0].lineno in head:
        return  # all of it on one line: nobody can tell
    yield Branch(node.lineno, into, _span(node.body))
    if isinstance(test, ast.Constant):
        return
    if node.orelse and isinstance(node, ast.If):
        yield Branch(node.lineno, beside, _span(node.orelse))
    else:
        yield Branch(node.lineno, beside, range(0), head, _span(node.body))


def _span(block: Sequence[ast.stmt]) -> range:
    return range(block[0].lineno, (block[-1].end_lineno or block[-1].lineno) + 1)


def _patch(node: ast.AST) -> Iterator[tuple[str, int]]:
    if not isinstance(node, ast.Call) or not node.args or not ast.unparse(node.func).endswith("patched"):
        return
    argument = node.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value, node.lineno


Thing = tuple[str, ...]
"""Something that a history covers; the first word says what sort of thing it is."""


def things_of(reach: Reach, known: Mapping[str, Source]) -> Iterator[Thing]:
    """The lines and the branches that a replay came by."""
    for file, found in reach.lines.items():
        source = known.get(file)
        if source is None:
            continue
        lines = frozenset(found)
        yield from (("line", file, str(line)) for line in lines & source.lines)
        steps = [one for one in reach.steps.get(file, ()) if one[1] == END or one[0] in lines]
        for branch in source.branches:
            if branch.is_taken(lines, steps):
                yield ("branch", file, str(branch.line), branch.way)
