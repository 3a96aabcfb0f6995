"""Import scripts: files that import their neighbours by plain names, as Python does when it runs one of them.

Two folders of a project may have an `activities.py` each. A process has one module of a name, so the second folder's
files get unique names, and their imports of each other are rewritten to these names while they are compiled.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_NEVER = sys.stdlib_module_names | {"replaytool"}
"""Names that mean the same module everywhere."""


class PinnedFileFinder(importlib.abc.MetaPathFinder):
    """Finds files by the names that were pinned for them, also when a sandbox imports them again."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}
        self.renamed: dict[str, Mapping[str, str]] = {}
        """Modules under a unique name: how the neighbours that they import are called."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a pinned file, and of what lies in a package under a unique name."""
        top, _, rest = fullname.partition(".")
        names = self.renamed.get(top)
        if rest:
            found = importlib.machinery.PathFinder.find_spec(fullname, path) if names else None
            file = found.origin if found is not None else None
        else:
            file = self.paths.get(fullname)
        if file is None or not file.endswith(".py"):
            return _make_namespace(fullname, file)
        loader = _RenamingLoader(fullname, file, names) if names else None
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)

    def pin_file(self, name: str, file: Path) -> None:
        """Resolve this name to this file from now on."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        self.paths[name] = str(file)

    def pin_renamed_files(self, neighbours: Mapping[str, Path]) -> Mapping[str, str]:
        """Pin these files under unique names, and return the names."""
        names = {name: make_unique_name(file, name) for name, file in neighbours.items()}
        for name, file in neighbours.items():
            self.pin_file(names[name], file)
            self.renamed[names[name]] = names
        return names

    def list_renamed_files(self) -> tuple[str, ...]:
        """Return the files whose imports were rewritten, if they are loaded."""
        return tuple(self.paths[name] for name in sorted(self.renamed) if name in sys.modules and name in self.paths)


def _make_namespace(name: str, folder: str | None) -> importlib.machinery.ModuleSpec | None:
    if folder is None or "." in name:
        return None
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [folder]
    return spec


class _RenamingLoader(importlib.machinery.SourceFileLoader):
    """Compiles a file with the unique names of its neighbours; never from bytecode, which has the plain names."""

    def __init__(self, fullname: str, path: str, names: Mapping[str, str]) -> None:
        super().__init__(fullname, path)
        self._names = names

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        tree = _NeighbourRenamer(self._names).visit(ast.parse(self.get_data(path), path))
        code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
        return code


class _NeighbourRenamer(ast.NodeTransformer):
    """Rewrites imports of neighbours. The names that the code sees stay as they are."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        top, _, rest = (node.module or "").partition(".")
        if not node.level and top in self._names:
            node.module = ".".join(filter(None, (self._names[top], rest)))
        return node

    def visit_Import(self, node: ast.Import) -> Any:
        made: list[ast.stmt] = []
        for alias in node.names:
            top, _, rest = alias.name.partition(".")
            if top not in self._names:
                made.append(ast.copy_location(ast.Import([alias]), node))
                continue
            new = ".".join(filter(None, (self._names[top], rest)))
            if rest and not alias.asname:  # `import tools.text` binds `tools`
                made.append(ast.copy_location(ast.Import([ast.alias(new, f"_{top}_{rest.replace('.', '_')}")]), node))
                alias, new = ast.alias(alias.name), self._names[top]
            made.append(ast.copy_location(ast.Import([ast.alias(new, alias.asname or top)]), node))
        return made


def make_unique_name(file: Path, stem: str | None = None) -> str:
    """Return a module name that no other file has."""
    return f"{stem or file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"


def find_neighbours(file: Path) -> dict[str, Path]:
    """Return the modules beside a file that it imports by plain names, directly or not, and the file itself."""
    found = {file.stem: file}
    waiting = [file]
    while waiting:
        for name in sorted(_imported_tops(waiting.pop()) - found.keys() - _NEVER):
            if (neighbour := find_module_in_folder(file.parent, name)) is not None:
                found[name] = neighbour
                inside = neighbour if neighbour.is_dir() else neighbour.parent
                waiting += [neighbour] if neighbour.name.removesuffix(".py") == name else inside.rglob("*.py")
    return found


def find_module_in_folder(folder: Path, name: str) -> Path | None:
    """Return the file of a module or package that lies in a folder; for a namespace package, its folder."""
    places = (folder / f"{name}.py", folder / name / "__init__.py")
    file = next((place for place in places if place.is_file()), None)
    is_namespace = file is None and (folder / name).is_dir() and any((folder / name).glob("*.py"))
    return folder / name if is_namespace else file


def _imported_tops(file: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()  # its import says what is wrong
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
    return found


def find_script_folder(file: Path, top: Path, missing: str) -> Path | None:
    """Return the folder of a package, from the file outwards, that has a module which the file misses.

    A project's folder may have an `__init__.py` although its files are run as scripts.
    """
    inside = [folder for folder in file.parents if folder.is_relative_to(top)]
    name = missing.partition(".")[0]
    return next((folder for folder in inside if find_module_in_folder(folder, name) is not None), None)
