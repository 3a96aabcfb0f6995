"""Find the files that define workflows by reading them: importing a file can have any effect."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from replaytool.errors import ReplaytoolError
from replaytool.replay.code.failed_imports import FailedModule, name_file_shortly

_MOST_NAMED = 8
_BUILT = {"build", "dist"}
_ENVIRONMENTS = {"__pycache__", "node_modules", "site-packages"}


class SourceReader(Protocol):
    """The part of an engine's code finder that reads source code."""

    library: str

    def defines_workflows(self, tree: ast.Module) -> bool:
        """Return whether this source defines a workflow."""
        ...

    def list_workflow_names(self, tree: ast.Module) -> Iterable[tuple[str | None, str]] | None:
        """Return the type and the class of each workflow in this source; None if a type is known only when it runs."""
        ...


@dataclass
class SourceSearch:
    """Chooses the files to import, and remembers what it passed over."""

    readers: Sequence[SourceReader]
    folder: Path = Path()
    """What patterns and messages are relative to."""
    exclude: Sequence[str] = ()
    failed: list[FailedModule] = field(default_factory=list)
    """Files with workflows that could not be imported."""
    passed_over: list[Path] = field(default_factory=list)
    """Tests and build results, which no worker imports."""

    def list_files(self, folder: Path) -> Iterator[Path]:
        """Yield the Python files below a folder that define workflows."""
        return (file for file in self.list_python_files(folder) if self.is_workflow_file(file))

    def list_python_files(self, folder: Path) -> Iterator[Path]:
        """Yield the Python files below a folder that workers may import."""
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith(".") or entry.name in _ENVIRONMENTS or (entry / "pyvenv.cfg").exists():
                continue
            if not self.is_wanted(entry):
                continue
            if entry.name in _BUILT or entry.name.startswith("test_") or entry.name == "conftest.py":
                self.passed_over.append(entry)
            elif entry.is_dir():
                yield from self.list_python_files(entry)
            elif entry.suffix == ".py" and entry.is_file():
                yield entry

    def is_wanted(self, path: Path) -> bool:
        """Return whether nothing excludes a file or folder, or a folder around it."""
        if not self.exclude:
            return True
        inside = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        return not any(
            _matches_exclusion(pattern, one)
            for pattern in self.exclude
            for one in (inside, *inside.parents)
            if one.name
        )

    def note_failure(self, file: Path, error: ReplaytoolError) -> None:
        """Note that a file could not be imported, and which workflows it would have had."""
        short = name_file_shortly(file, self.folder)
        if all(one.file != short for one in self.failed):
            self.failed.append(FailedModule(short, str(file), error, self._list_workflows(file)))

    def _list_workflows(self, file: Path) -> frozenset[tuple[str | None, str]] | None:
        try:
            tree = ast.parse(file.read_bytes(), str(file))
        except (SyntaxError, ValueError, RecursionError):
            return None
        found = [one.list_workflow_names(tree) for one in self.readers if one.defines_workflows(tree)]
        return None if None in found else frozenset(pair for pairs in found for pair in pairs or ())

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


def _matches_exclusion(pattern: str, path: Path) -> bool:
    """Return whether a pattern names this path: as a path or a name with wildcards, or as a module.

    >>> [_matches_exclusion(one, Path("src/app/old.py")) for one in ("src/*/old.py", "old.py", "app.old", "app")]
    [True, True, True, False]
    """
    text, wanted = path.as_posix(), pattern.rstrip("/").removeprefix("./")
    if fnmatchcase(text, wanted) or ("/" not in wanted and fnmatchcase(path.name, wanted)):
        return True
    dotted = ".".join(path.with_suffix("").parts)
    return "." in wanted and "/" not in wanted and (dotted == wanted or dotted.endswith(f".{wanted}"))


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
