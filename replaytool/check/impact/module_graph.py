"""Read one version of the user's code as files and imports, without running any of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from replaytool.model.verdict import CodeInfo
from replaytool.replay.code.code_spec import CodeSpec

# Names that make code depend on more than its import statements.
_DYNAMIC = {
    "importlib",
    "import_module",
    "__import__",
    "pkgutil",
    "runpy",
    "entry_points",
    "getsource",
    "getsourcelines",
}
_COMPILING = {"exec", "eval"}


@dataclass(frozen=True)
class CodeVersion:
    """All files of the code by path in the tree; a file outside the tree has its absolute path."""

    tree: Path
    texts: Mapping[str, bytes]
    imports: Mapping[str, frozenset[str]]
    """By file: the files that it imports, also inside functions."""
    outside: Mapping[str, frozenset[str]]
    """By file: the names of imported modules that are not the user's."""
    types: Mapping[str, str] = field(default_factory=dict)
    """The file of each workflow type; "" is the dynamic workflow."""
    settings: frozenset[str] = frozenset()
    """Files that the worker's settings come from: converters, interceptors."""
    renamed: tuple[str, ...] = ()
    """Files whose imports of their neighbours were rewritten."""

    def path_in_tree(self, file: str) -> str:
        """Return a file's path as this version names it."""
        return path_in_tree(file, self.tree)

    def import_closure(self, start: Iterable[str]) -> frozenset[str]:
        """Return these files and everything that they import, directly or not."""
        seen: set[str] = set()
        waiting = list(start)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += self.imports.get(one, ())
        return frozenset(seen)

    @cached_property
    def dynamic_file(self) -> str | None:
        """Return a file that imports or makes code by name, if any: its dependencies are unknown."""
        if self.renamed:  # its imports are not what they look like
            return self.renamed[0]
        return next((file for file, text in sorted(self.texts.items()) if _uses_dynamic_imports(ast.parse(text))), None)


def _uses_dynamic_imports(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _DYNAMIC | _COMPILING:
            return True
        if isinstance(node, ast.Attribute) and node.attr in _DYNAMIC:
            return True
        if isinstance(node, ast.alias) and node.name.split(".")[0] in _DYNAMIC:
            return True
    return False


def read_version(info: CodeInfo, tree: Path, spec: CodeSpec) -> CodeVersion:
    """Read all modules that a worker process has loaded, and the ones that they may import later."""
    reading = _ImportReader(tree.resolve(), info)
    reading.read_all_files()
    types = {name: reading.known[module] for name, module in info.types.items() if module in reading.known}
    named = [one.rpartition(":")[0] for one in (spec.replayer, spec.converter) if one]
    settings = {reading.known[one] for one in named if one in reading.known}
    settings |= {file for one in named for file in reading.texts if one.endswith(".py") and file.endswith(one)}
    renamed = tuple(path_in_tree(file, reading.tree) for file in info.renamed)
    return CodeVersion(
        reading.tree, reading.texts, reading.imports, reading.outside, types, frozenset(settings), renamed
    )


def path_in_tree(file: str, tree: Path) -> str:
    """Return a file's path relative to the tree; outside the tree, its absolute path."""
    found = Path(file).resolve()
    return found.relative_to(tree).as_posix() if found.is_relative_to(tree) else str(found)


class _ImportReader:
    """Reads a file after the other, following imports."""

    def __init__(self, tree: Path, info: CodeInfo) -> None:
        self.tree = tree
        self.roots = [Path(root) for root in info.roots]
        self.known = {name: path_in_tree(file, tree) for name, file in info.files.items()}
        self.texts: dict[str, bytes] = {}
        self.imports: dict[str, frozenset[str]] = {}
        self.outside: dict[str, frozenset[str]] = {}

    def read_all_files(self) -> None:
        waiting = [(file, name) for name, file in self.known.items()]
        while waiting:
            file, name = waiting.pop()
            if file in self.texts:
                continue
            self.texts[file] = (self.tree / file).read_bytes()
            inside, outside = {}, set()
            for one in _imported_modules(ast.parse(self.texts[file]), name, is_package=file.endswith("__init__.py")):
                found = self._find_module_file(one)
                if found is None:
                    outside.add(one)
                else:
                    inside[found] = one
            self.imports[file], self.outside[file] = frozenset(inside), frozenset(outside)
            waiting += inside.items()

    def _find_module_file(self, name: str) -> str | None:
        """Return the file of a module that is loaded, or that would be loaded from the user's folders."""
        if name in self.known or name in sys.stdlib_module_names:
            return self.known.get(name)
        parts = name.split(".")
        for root in self.roots:
            for path in (root.joinpath(*parts).with_suffix(".py"), root.joinpath(*parts, "__init__.py")):
                if path.is_file():
                    self.known[name] = path_in_tree(str(path), self.tree)
                    return self.known[name]
        return None


def _imported_modules(tree: ast.Module, name: str, *, is_package: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _name_and_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute_import(node, name, is_package=is_package)
            yield from _name_and_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute_import(node: ast.ImportFrom, name: str, *, is_package: bool) -> str:
    parts = name.split(".")
    up = node.level - is_package
    start = parts[: len(parts) - up] if node.level and up else parts if node.level else []
    return ".".join([*start, *([node.module] if node.module else [])])


def _name_and_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))
