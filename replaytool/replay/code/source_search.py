"""Find the files that define workflows by reading them: importing a file can have any effect."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_MOST_NAMED = 8
_BUILT = {"build", "dist"}
_ENVIRONMENTS = {"__pycache__", "node_modules", "site-packages"}


class SourceReader(Protocol):
    """The part of an engine's code finder that reads source code."""

    library: str

    def defines_workflows(self, tree: ast.Module) -> bool:
        """Return whether this source defines a workflow."""
        ...


@dataclass
class SourceSearch:
    """Chooses the files to import, and remembers what it passed over."""

    readers: Sequence[SourceReader]
    passed_over: list[Path] = field(default_factory=list)
    """Tests and build results, which no worker imports."""

    def list_files(self, folder: Path) -> Iterator[Path]:
        """Yield the Python files below a folder that define workflows."""
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith(".") or entry.name in _ENVIRONMENTS or (entry / "pyvenv.cfg").exists():
                continue
            if entry.name in _BUILT or entry.name.startswith("test_") or entry.name == "conftest.py":
                self.passed_over.append(entry)
            elif entry.is_dir():
                yield from self.list_files(entry)
            elif entry.suffix == ".py" and entry.is_file() and self.is_workflow_file(entry):
                yield entry

    def is_workflow_file(self, file: Path) -> bool:
        """Return whether a file defines workflows. One that cannot be parsed counts: its import says what is wrong."""
        text = file.read_bytes()
        readers = [one for one in self.readers if one.library.encode() in text]
        if not readers:
            return False
        try:
            tree = ast.parse(text, str(file))
        except (SyntaxError, ValueError, RecursionError):
            return True
        return any(one.defines_workflows(tree) for one in readers)

    def describe_passed_over(self, folder: Path) -> str:
        """Return what was passed over, relative to the folder; "" if nothing was."""
        found = [entry for entry in self.passed_over if entry.is_dir() or entry.suffix == ".py"]
        names = [os.path.relpath(entry, folder) + ("/" if entry.is_dir() else "") for entry in found]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return f"{', '.join(names[:_MOST_NAMED])}{more}" if names else ""


def names_of_import(tree: ast.Module, module: str, names: Sequence[str]) -> set[str]:
    """Return the dotted texts by which the source may call these names of a module.

    >>> sorted(names_of_import(ast.parse("from a import b as c"), "a.b", ["x"]))
    ['a.b.x', 'c.x']
    """
    parent, _, last = module.rpartition(".")
    found = {f"{module}.{name}" for name in names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                bound = alias.asname or alias.name
                if node.module == module and (alias.name in names or alias.name == "*"):
                    found |= set(names) if alias.name == "*" else {bound}
                elif node.module == parent and alias.name == last:
                    found |= {f"{bound}.{name}" for name in names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname and alias.name in (module, parent):
                    inner = "" if alias.name == module else f".{last}"
                    found |= {f"{alias.asname}{inner}.{name}" for name in names}
    return found


def uses_any_name(tree: ast.Module, names: set[str]) -> bool:
    """Return whether the source uses one of these dotted names outside of an import."""
    last = {name.rpartition(".")[2] for name in names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in last and ast.unparse(node) in names:
            return True
        if isinstance(node, ast.Name) and node.id in names:
            return True
    return False
