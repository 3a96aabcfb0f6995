"""The Python files of a checkout, parsed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

PRODUCT_FOLDERS = ("replaytool", "formats", "tui")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class SourceFile:
    """One Python file; `path` is relative to the checkout."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def line_count(self) -> int:
        return self.text.count("\n")

    @property
    def module(self) -> str:
        """The name that this file is imported by; formats/ and tui/ install inside of replaytool."""
        parts = self.path.removesuffix(".py").removesuffix("/__init__").split("/")
        return ".".join(parts if parts[0] == "replaytool" else ["replaytool", *parts])

    def find_functions(self) -> Iterator[Function]:
        """Yield every function and method, nested ones too."""
        return (node for node in _walk_statements(self.tree) if isinstance(node, Function))

    def count_asserts(self) -> int:
        """Return how many assert statements the file has."""
        return sum(isinstance(node, ast.Assert) for node in _walk_statements(self.tree))


def _walk_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and the statements in it: ten times fewer nodes than ast.walk, which goes into expressions."""
    waiting = [node]
    while waiting:
        yield (node := waiting.pop())
        waiting.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


@cache
def read_sources(checkout: Path, folders: tuple[str, ...] = PRODUCT_FOLDERS) -> list[SourceFile]:
    """Read the Python files under some folders of a checkout. Links are left out, so that each file counts once."""
    return [
        SourceFile(path.relative_to(checkout).as_posix(), path.read_text(encoding="utf-8"))
        for path in find_files(checkout, folders, {".py"})
    ]


def find_files(checkout: Path, folders: tuple[str, ...], suffixes: set[str]) -> list[Path]:
    """Return the files with these suffixes that do not lie behind a link."""
    return [
        path
        for folder in folders
        for path in sorted((checkout / folder).rglob("*"))
        if path.suffix in suffixes and not has_link(path, checkout)
    ]


def has_link(path: Path, checkout: Path) -> bool:
    """Return whether the path or a folder between it and the checkout is a symbolic link."""
    inside = path.relative_to(checkout)
    return any((checkout / parent).is_symlink() for parent in (inside, *inside.parents))


def count_lines(function: Function) -> int:
    """Return how many lines a function takes, without its decorators."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1
