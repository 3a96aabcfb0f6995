"""Read how a project sets up its workers and clients, as text: nothing of the project is imported.

Names are followed through imports and assignments of constants, from file to file. What is computed stays unknown.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from replaytool.replay.code.import_roots import find_tree, list_near_roots
from replaytool.replay.code.script_imports import find_module_in_folder
from replaytool.replay.code.source_search import SourceReader, SourceSearch

_DEEPEST = 8
_TESTS = {"test", "tests"}
_GROWING = {"append", "extend", "insert"}
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class SetupCalls:
    """The calls of an engine's library that set up a worker or a client."""

    kinds: Mapping[str, str] = field(default_factory=dict)
    """Dotted names of the calls: "worker" or "client"."""
    workflows: str = "workflows"
    """The keyword with a worker's workflows."""
    queue: str = "task_queue"
    """The keyword with the queue that a worker serves."""
    converter: str = ""
    plugins: str = ""
    interceptors: str = ""
    others: tuple[str, ...] = ()
    """Other keywords that change what a replay does."""


class SetupReader(SourceReader, Protocol):
    """The part of an engine's code finder that knows how workers are set up."""

    setup_calls: SetupCalls


@dataclass(frozen=True)
class NamedObject:
    """What a name stands for: an object of one of the project's files, or of a library."""

    module: str
    """Dotted; for a file of the project, as that file is imported."""
    name: str
    """"" for the module itself."""
    file: Path | None = None
    """None: it is in a library."""


@dataclass(frozen=True)
class SetupCall:
    """A call that makes a worker or a client."""

    kind: str
    file: Path
    line: int
    keywords: Mapping[str, ast.expr]
    scope: tuple[Scope, ...]
    """The functions around the call, the innermost first, and the module."""
    names: SetupCalls
    """How its keywords are called."""


class ProjectReader:
    """Reads the files of one project."""

    def __init__(self, folder: Path, readers: Sequence[SetupReader], exclude: Sequence[str] = ()) -> None:
        self.folder = folder
        self._readers = readers
        self._search = SourceSearch(readers, folder, exclude)
        self._trees: dict[Path, ast.Module | None] = {}
        self._roots: dict[Path, list[Path]] = {}

    @cached_property
    def files(self) -> list[Path]:
        """The Python files of the project that name an engine's library, without tests and build results."""
        names = [reader.library.encode() for reader in self._readers]
        return [
            file
            for file in self._search.list_python_files(self.folder)
            if not _TESTS.intersection(file.relative_to(self.folder).parts[:-1])
            and any(name in file.read_bytes() for name in names)
        ]

    def list_workflow_files(self) -> list[Path]:
        """Return the files that define workflows."""
        return [file for file in self.files if self._search.is_workflow_file(file)]

    @cached_property
    def setup_calls(self) -> list[SetupCall]:
        """Every call that makes a worker or a client."""
        return [call for file in self.files for call in self._find_setup_calls(file)]

    def _find_setup_calls(self, file: Path) -> Iterator[SetupCall]:
        kinds = {name: (kind, one.setup_calls) for one in self._readers for name, kind in one.setup_calls.kinds.items()}
        text = file.read_bytes()
        is_near = any(name.split(".")[-2].encode() in text or name.split(".")[-1].encode() in text for name in kinds)
        tree = self.parse_file(file) if is_near else None
        for node, scope in _walk_with_scopes(tree, (tree,)) if tree is not None else ():
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            found = self.resolve_expression(node.func, file, scope)
            known = kinds.get(f"{found.module}.{found.name}") if found is not None and found.file is None else None
            if known is not None:
                keywords = {one.arg: one.value for one in node.keywords if one.arg is not None}
                yield SetupCall(known[0], file, node.lineno, keywords, scope, known[1])

    def parse_file(self, file: Path) -> ast.Module | None:
        """Return the syntax tree of a file, or None if it cannot be parsed."""
        if file not in self._trees:
            try:
                self._trees[file] = ast.parse(file.read_bytes(), str(file))
            except (OSError, SyntaxError, ValueError, RecursionError):
                self._trees[file] = None
        return self._trees[file]

    def list_items(self, node: ast.expr, file: Path, scope: Sequence[Scope], depth: int = 0) -> list[ast.expr] | None:
        """Return the elements of a list that the source writes down, here or under a name; None if it is computed."""
        if isinstance(node, ast.List | ast.Tuple):
            found: list[ast.expr] = []
            for one in node.elts:
                inner = self.list_items(one.value, file, scope, depth) if isinstance(one, ast.Starred) else [one]
                if inner is None:
                    return None
                found += inner
            return found
        value = self.find_assigned_value(node, file, scope) if depth < _DEEPEST else None
        return self.list_items(*value, depth + 1) if value is not None and value[1] == file else None

    def list_objects(self, node: ast.expr, file: Path, scope: Sequence[Scope]) -> list[NamedObject] | None:
        """Return the objects that a list names; None if one of them is computed."""
        place: tuple[ast.expr, Path, Sequence[Scope]] | None = (node, file, scope)
        for _ in range(_DEEPEST):
            if place is None or isinstance(place[0], ast.List | ast.Tuple):
                break
            place = self.find_assigned_value(*place)
        items = self.list_items(*place) if place is not None else None
        if place is None or items is None:
            return None
        found = [self.resolve_expression(one, place[1], place[2]) for one in items]
        return None if None in found else [one for one in found if one is not None]

    def find_assigned_value(
        self, node: ast.expr, file: Path, scope: Sequence[Scope]
    ) -> tuple[ast.expr, Path, Sequence[Scope]] | None:
        """Return the expression that a name stands for, with the file and scope that it is written in."""
        if isinstance(node, ast.Name):
            for depth, one in enumerate(scope):
                values = _find_assignments(one, node.id)
                if values:
                    return (values[0], file, scope[depth:]) if len(values) == 1 else None
        if not isinstance(node, ast.Name | ast.Attribute):
            return None
        found = self.resolve_expression(node, file, scope)
        tree = self.parse_file(found.file) if found is not None and found.file is not None else None
        if found is None or found.file is None or tree is None or found.file == file:
            return None
        values = _find_assignments(tree, found.name)
        return (values[0], found.file, (tree,)) if len(values) == 1 else None

    def resolve_expression(self, node: ast.expr, file: Path, scope: Sequence[Scope]) -> NamedObject | None:
        """Return the object that a dotted name stands for."""
        names = _split_dotted(node)
        if names is None:
            return None
        return self._follow_names(names, file, scope, 0)

    def _follow_names(self, names: Sequence[str], file: Path, scope: Sequence[Scope], depth: int) -> NamedObject | None:
        if depth > _DEEPEST:
            return None
        first, rest = names[0], names[1:]
        for one in scope:
            for module, name, level in _find_imports(one, first):
                return self._find_object(module, level, [*([name] if name else []), *rest], file, depth)
            if _defines_name(one, first):
                is_global = isinstance(one, ast.Module)
                return NamedObject(self.name_module(file), ".".join(names), file) if is_global else None
        return None

    def _find_object(self, module: str, level: int, names: Sequence[str], file: Path, depth: int) -> NamedObject | None:
        """Return the object of a module, followed through the imports of that module."""
        target = self._find_module_file(module, level, file)
        while target is not None and names and (inner := self._find_submodule(target, names[0])) is not None:
            module, target, names = f"{module}.{names[0]}", inner, names[1:]
        if target is None:
            return None if level else NamedObject(*_split_library_name(module, names))
        if not names or target.is_dir():
            return NamedObject(self.name_module(target), "", target)
        tree = self.parse_file(target)
        found = self._follow_names(names, target, (tree,), depth + 1) if tree is not None else None
        return found or NamedObject(self.name_module(target), ".".join(names), target)

    def _find_submodule(self, target: Path, name: str) -> Path | None:
        if target.is_dir():
            return find_module_in_folder(target, name)
        tree = self.parse_file(target) if target.name == "__init__.py" else None
        is_own = tree is not None and (_defines_name(tree, name) or any(_find_imports(tree, name)))
        return find_module_in_folder(target.parent, name) if tree is not None and not is_own else None

    def _find_module_file(self, module: str, level: int, file: Path) -> Path | None:
        parts = module.split(".") if module else []
        if level:
            return _walk_down(file.parents[level - 1], parts)
        return next((found for root in self._list_roots(file) if (found := _walk_down(root, parts))), None)

    def _list_roots(self, file: Path) -> list[Path]:
        if file.parent not in self._roots:
            top = file.parent
            while (top / "__init__.py").is_file():
                top = top.parent
            near = list_near_roots([top], find_tree(self.folder))
            self._roots[file.parent] = list(dict.fromkeys([top, file.parent, *near, self.folder]))
        return self._roots[file.parent]

    def name_module(self, file: Path) -> str:
        """Return the dotted name of a file; of a file that no root can import, its path."""
        place = file if file.is_dir() or file.name != "__init__.py" else file.parent
        roots = [root for root in self._list_roots(file) if place.is_relative_to(root) and place != root]
        top = file.parent
        while (top / "__init__.py").is_file():
            top = top.parent
        root = top if top != file.parent else next((one for one in roots if one != file.parent), file.parent)
        return ".".join(place.relative_to(root).with_suffix("").parts)

    def name_place(self, file: Path) -> str:
        """Return a file's path relative to the project."""
        return os.path.relpath(file, self.folder)

    def read_text(self, node: ast.expr | None, file: Path, scope: Sequence[Scope]) -> str | None:
        """Return a text that the source writes down, here or under a name."""
        place: tuple[ast.expr, Path, Sequence[Scope]] | None = (node, file, scope) if node is not None else None
        for _ in range(_DEEPEST):
            if place is None:
                return None
            if isinstance(place[0], ast.Constant):
                return place[0].value if isinstance(place[0].value, str) else None
            place = self.find_assigned_value(*place)
        return None


def _split_library_name(module: str, names: Sequence[str]) -> tuple[str, str]:
    """Return the module and the name in it. A class is written in capitals, and what follows is in the class."""
    whole = [*module.split("."), *names]
    if not names:
        return module, ""
    end = next((place for place, one in enumerate(whole) if place and one[:1].isupper()), len(whole) - 1)
    return ".".join(whole[:end]), ".".join(whole[end:])


def _walk_down(root: Path, parts: Sequence[str]) -> Path | None:
    """Return the file or folder of a dotted name below a root."""
    place = root
    for part in parts[:-1]:
        place = place / part
    found = find_module_in_folder(place, parts[-1]) if parts else find_module_in_folder(root.parent, root.name)
    if found is None and parts and (place / parts[-1]).is_dir() and any((place / parts[-1]).iterdir()):
        return place / parts[-1]
    return found


def _split_dotted(node: ast.expr) -> list[str] | None:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else None


def _walk_with_scopes(node: ast.AST, scope: tuple[Scope, ...]) -> Iterator[tuple[ast.AST, tuple[Scope, ...]]]:
    for child in ast.iter_child_nodes(node):
        yield child, scope
        inner = (child, *scope) if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else scope
        yield from _walk_with_scopes(child, inner)


def _own_statements(scope: Scope) -> Iterator[ast.AST]:
    """Yield the nodes of a scope without those of functions and classes inside it."""
    waiting: list[ast.AST] = list(scope.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _find_imports(scope: Scope, name: str) -> Iterator[tuple[str, str, int]]:
    """Yield module, name in it and level of each import that binds this name."""
    for node in _own_statements(scope):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    yield node.module or "", alias.name, node.level
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname == name:
                    yield alias.name, "", 0
                elif alias.asname is None and alias.name.partition(".")[0] == name:
                    yield name, "", 0


def _find_assignments(scope: Scope, name: str) -> list[ast.expr]:
    found: list[ast.expr] = []
    for node in _own_statements(scope):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            found += [node.value for one in targets if isinstance(one, ast.Name) and one.id == name]
        elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            found += [node.context_expr] if node.optional_vars.id == name else []
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            found += [node.value, node.value]  # what is added to is not a constant
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GROWING:
            found += [node, node] if isinstance(node.func.value, ast.Name) and node.func.value.id == name else []
    return found


def _defines_name(scope: Scope, name: str) -> bool:
    arguments = (
        [] if isinstance(scope, ast.Module) else [one.arg for one in ast.walk(scope.args) if isinstance(one, ast.arg)]
    )
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    defined = any(isinstance(node, kinds) and node.name == name for node in _own_statements(scope))
    return defined or name in arguments or bool(_find_assignments(scope, name))
