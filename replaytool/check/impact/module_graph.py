"""One version of the user's code as files and who imports whom, read without running any of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from replaytool.model.verdict import CodeInfo
from replaytool.replay.code.user_code import CodeSpec

# What makes code depend on more than its imports say.
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
class Version:
    """All files that the code consists of, by their paths in the tree; a file outside of it by its whole path."""

    tree: Path
    texts: Mapping[str, bytes]
    imports: Mapping[str, frozenset[str]]
    """By file, the files that it imports, also inside functions."""
    outside: Mapping[str, frozenset[str]]
    """By file, the names of modules that are not the user's."""
    types: Mapping[str, str] = field(default_factory=dict)
    """The file of each workflow type; "" is the dynamic workflow."""
    settings: frozenset[str] = frozenset()
    """What the worker's settings are made of: converters, interceptors."""

    def place(self, file: str) -> str:
        """How a file is called here."""
        return placed(file, self.tree)

    def closure(self, start: Iterable[str]) -> frozenset[str]:
        """These files and all that they import, however far away."""
        seen: set[str] = set()
        waiting = list(start)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += self.imports.get(one, ())
        return frozenset(seen)

    @cached_property
    def dynamic(self) -> str | None:
        """A file that imports or makes code by name, if there is one: nobody can say what it depends on."""
        return next((file for file, text in sorted(self.texts.items()) if _is_dynamic(ast.parse(text))), None)


def _is_dynamic(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _DYNAMIC | _COMPILING:
            return True
        if isinstance(node, ast.Attribute) and node.attr in _DYNAMIC:
            return True
        if isinstance(node, ast.alias) and node.name.split(".")[0] in _DYNAMIC:
            return True
    return False


def version_of(info: CodeInfo, tree: Path, spec: CodeSpec) -> Version:
    """What a child has loaded, and what that may import later."""
    reading = _Reading(tree.resolve(), info)
    reading.all()
    types = {name: reading.known[module] for name, module in info.types.items() if module in reading.known}
    named = [one.rpartition(":")[0] for one in (spec.replayer, spec.converter) if one]
    settings = {reading.known[one] for one in named if one in reading.known}
    settings |= {file for one in named for file in reading.texts if one.endswith(".py") and file.endswith(one)}
    return Version(reading.tree, reading.texts, reading.imports, reading.outside, types, frozenset(settings))


def placed(file: str, tree: Path) -> str:
    """By its path in the tree; a file outside of it by its whole path."""
    found = Path(file).resolve()
    return found.relative_to(tree).as_posix() if found.is_relative_to(tree) else str(found)


class _Reading:
    """Reads file after file, and those that they import."""

    def __init__(self, tree: Path, info: CodeInfo) -> None:
        self.tree = tree
        self.roots = [Path(root) for root in info.roots]
        self.known = {name: placed(file, tree) for name, file in info.files.items()}
        self.texts: dict[str, bytes] = {}
        self.imports: dict[str, frozenset[str]] = {}
        self.outside: dict[str, frozenset[str]] = {}

    def all(self) -> None:
        waiting = [(file, name) for name, file in self.known.items()]
        while waiting:
            file, name = waiting.pop()
            if file in self.texts:
                continue
            self.texts[file] = (self.tree / file).read_bytes()
            inside, outside = {}, set()
            for one in _imported(ast.parse(self.texts[file]), name, is_package=file.endswith("__init__.py")):
                found = self._found(one)
                if found is None:
                    outside.add(one)
                else:
                    inside[found] = one
            self.imports[file], self.outside[file] = frozenset(inside), frozenset(outside)
            waiting += inside.items()

    def _found(self, name: str) -> str | None:
        """The file of a module that is loaded, or that would be loaded from the user's folders."""
        if name in self.known or name in sys.stdlib_module_names:
            return self.known.get(name)
        parts = name.split(".")
        for root in self.roots:
            for path in (root.joinpath(*parts).with_suffix(".py"), root.joinpath(*parts, "__init__.py")):
                if path.is_file():
                    self.known[name] = placed(str(path), self.tree)
                    return self.known[name]
        return None


def _imported(tree: ast.Module, name: str, *, is_package: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _and_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, name, is_package=is_package)
            yield from _and_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, name: str, *, is_package: bool) -> str:
    parts = name.split(".")
    up = node.level - is_package
    start = parts[: len(parts) - up] if node.level and up else parts if node.level else []
    return ".".join([*start, *([node.module] if node.module else [])])


def _and_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))
