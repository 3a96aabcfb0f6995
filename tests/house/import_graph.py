"""Which module imports which, and when: with the module, in a function, or for the type checker only."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tests.house.source_tree import SourceFile

When = Literal["at import", "in a function", "for types"]


@dataclass(frozen=True)
class Import:
    """One imported module."""

    module: str
    line: int
    when: When


def find_imports(source: SourceFile) -> list[Import]:
    """Return every import of a file, also those that name the module in a call of import_module."""
    found: list[Import] = []
    _collect_imports(source.tree, "at import", found)
    if "import_module" in source.text:
        found.extend(_find_calls(source.tree))
    return found


def _collect_imports(node: ast.AST, when: When, found: list[Import]) -> None:
    match node:
        case ast.expr():
            return  # no import stands in an expression, and most of a tree is expressions
        case ast.Import(names):
            found.extend(Import(alias.name, node.lineno, when) for alias in names)
        case ast.ImportFrom(module=str(module), names=names):
            # Whether the name is a module or stands in one is known only by who knows all modules: see find_edges.
            found.extend(Import(f"{module}.{alias.name}", node.lineno, when) for alias in names)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            when = "in a function"
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            when = "for types"
    for child in ast.iter_child_nodes(node):
        _collect_imports(child, when, found)


def _find_calls(tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield Import(module, node.lineno, "in a function")


def find_edges(sources: Collection[SourceFile], when: Collection[When]) -> dict[str, set[str]]:
    """Map each module to the modules among these files that it imports at these times."""
    modules = {source.module for source in sources}
    edges: dict[str, set[str]] = {module: set() for module in modules}
    for source in sources:
        for found in find_imports(source):
            imported = found.module if found.module in modules else found.module.rpartition(".")[0]
            if found.when in when and imported in modules - {source.module}:
                edges[source.module].add(imported)
    return edges


def find_circles(edges: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """Return the groups of modules that import each other, by Tarjan's algorithm.

    >>> find_circles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]})
    [('b', 'c')]
    """
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles: list[tuple[str, ...]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for imported in edges.get(module, ()):
            if imported not in order:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], order[imported])
        if lowest[module] == order[module]:
            place = stack.index(module)
            if len(stack) - place > 1:
                circles.append(tuple(sorted(stack[place:])))
            del stack[place:]

    for module in sorted(edges):
        if module not in order:
            visit(module)
    return sorted(circles)
