"""Find what workflow code has to cover: the lines and branches of functions that a workflow may call.

The source alone decides: methods of workflow classes, and each function whose name such a function mentions.
Activities and queries never run in a replay.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType

from replaytool.replay.line_coverage import END, ReplayCoverage

Function = ast.FunctionDef | ast.AsyncFunctionDef
_NEVER = ("activity.defn", "workflow.query")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to continue from a line."""

    line: int
    way: str
    """In words: "the condition holds"."""
    into: range = range(0)
    """Lines that prove it was taken, if it has lines of its own."""
    test: range = range(0)
    beside: range = range(0)
    """Otherwise a step from the test's lines to none of these proves it."""

    def is_taken(self, lines: frozenset[int], steps: Iterable[tuple[int, int]]) -> bool:
        """Return whether these lines and steps took the branch."""
        if self.into:
            return any(line in lines for line in self.into)
        return any(
            before in self.test and after not in self.test and after not in self.beside for before, after in steps
        )


@dataclass(frozen=True, slots=True)
class CountedSource:
    """What counts in one file."""

    lines: frozenset[int] = frozenset()
    branches: tuple[Branch, ...] = ()
    patches: tuple[tuple[str, int], ...] = ()
    """Patch IDs that the code asks for, with their lines."""


@dataclass(frozen=True, slots=True)
class _FoundFunction:
    file: str
    node: Function
    counts: bool


def read_sources(files: Iterable[str]) -> dict[str, CountedSource]:
    """Return what counts in each file; a file with nothing is left out."""
    trees = {file: _parse_file(file) for file in sorted(set(files))}
    pieces = [piece for file, (tree, _) in trees.items() for piece in _find_functions(file, tree, is_workflow=False)]
    counted = _reachable_functions(pieces)
    found = {}
    for file, (_, text) in trees.items():
        nodes = [piece.node for piece in counted if piece.file == file]
        if nodes:
            found[file] = _count_source(nodes, compile(text, file, "exec", dont_inherit=True))
    return found


def _parse_file(file: str) -> tuple[ast.Module, bytes]:
    with open(file, "rb") as stream:
        text = stream.read()
    return ast.parse(text), text


def _find_functions(file: str, node: ast.AST, *, is_workflow: bool) -> Iterator[_FoundFunction]:
    """Yield functions at module and class level; nested functions count with them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            if not _has_decorator(child, *_NEVER):
                yield _FoundFunction(file, child, is_workflow)
        elif isinstance(child, ast.ClassDef):
            yield from _find_functions(file, child, is_workflow=_has_decorator(child, "workflow.defn"))
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _find_functions(file, child, is_workflow=is_workflow)


def _has_decorator(node: Function | ast.ClassDef, *decorators: str) -> bool:
    return any(name in ast.unparse(one) for one in node.decorator_list for name in decorators)


def _reachable_functions(pieces: Sequence[_FoundFunction]) -> list[_FoundFunction]:
    """Return the functions that count and all functions that they mention."""
    by_name: dict[str, list[_FoundFunction]] = {}
    for piece in pieces:
        by_name.setdefault(piece.node.name, []).append(piece)
    counted = [piece for piece in pieces if piece.counts]
    seen = {id(piece.node) for piece in counted}
    for piece in counted:  # the loop appends to this list
        for name in _mentioned_names(piece.node):
            for other in by_name.get(name, ()):
                if id(other.node) not in seen:
                    seen.add(id(other.node))
                    counted.append(other)
    return counted


def _mentioned_names(node: ast.AST) -> set[str]:
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return names | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def _count_source(nodes: Sequence[Function], code: CodeType) -> CountedSource:
    bodies = [range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1) for node in nodes]
    lines = frozenset(line for line in _executable_lines(code) if any(line in body for body in bodies))
    branches = [one for node in nodes for inner in ast.walk(node) for one in _branches_of(inner) if one.line in lines]
    patches = {one for node in nodes for inner in ast.walk(node) for one in _patch_calls(inner)}
    return CountedSource(
        lines, tuple(sorted(set(branches), key=lambda one: (one.line, one.way))), tuple(sorted(patches))
    )


def _executable_lines(code: CodeType) -> Iterator[int]:
    """Yield the lines of functions that have bytecode."""
    if code.co_flags & inspect.CO_OPTIMIZED:
        yield from (line for _, _, line in code.co_lines() if line)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _executable_lines(inner)


def _branches_of(node: ast.AST) -> Iterator[Branch]:
    if isinstance(node, ast.If):
        yield from _two_way_branches(node, node.test, "the condition holds", "the condition does not hold")
    elif isinstance(node, ast.While):
        yield from _two_way_branches(node, node.test, "the loop is entered", "the loop comes to its end")
    elif isinstance(node, ast.For):
        yield from _two_way_branches(node, node.iter, "the loop is entered", "the loop comes to its end")
    elif isinstance(node, ast.Match):
        for case in node.cases:
            yield Branch(case.pattern.lineno, "the case is taken", _block_lines(case.body))
    elif isinstance(node, ast.ExceptHandler):
        yield Branch(node.lineno, "the exception is caught", _block_lines(node.body))


def _two_way_branches(node: ast.If | ast.While | ast.For, test: ast.expr, into: str, beside: str) -> Iterator[Branch]:
    head = range(node.lineno, (test.end_lineno or test.lineno) + 1)
    if node.body[0].lineno in head:
        return  # body and test are on one line, so line events cannot tell them apart
    yield Branch(node.lineno, into, _block_lines(node.body))
    if isinstance(test, ast.Constant):
        return
    if node.orelse and isinstance(node, ast.If):
        yield Branch(node.lineno, beside, _block_lines(node.orelse))
    else:
        yield Branch(node.lineno, beside, range(0), head, _block_lines(node.body))


def _block_lines(block: Sequence[ast.stmt]) -> range:
    return range(block[0].lineno, (block[-1].end_lineno or block[-1].lineno) + 1)


def _patch_calls(node: ast.AST) -> Iterator[tuple[str, int]]:
    if not isinstance(node, ast.Call) or not node.args or not ast.unparse(node.func).endswith("patched"):
        return
    argument = node.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value, node.lineno


Thing = tuple[str, ...]
"""Something that a history covers; the first word is its kind."""


def covered_features(reach: ReplayCoverage, known: Mapping[str, CountedSource]) -> Iterator[Thing]:
    """Yield the lines and branches that a replay reached."""
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
