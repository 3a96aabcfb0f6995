"""Find the converter, the plugins and the interceptors that a project's workers and clients use."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replaytool.replay.code.import_roots import find_tree, list_near_roots
from replaytool.replay.code.project_code import find_project_code
from replaytool.replay.code.project_reader import ProjectReader, Scope, SetupCall

_DEEPEST = 6
_DEFAULTS = {"temporalio.converter:default", "temporalio.converter:DataConverter.default"}
_COPIES = {"dataclasses:replace", "temporalio.converter:DataConverter"}
_PARTS = {"payload_codec", "payload_converter_class"}


@dataclass(frozen=True)
class ProjectSetup:
    """What a replay of the project's runs needs."""

    workflows: tuple[str, ...] = ()
    converter: str | None = None
    plugins: tuple[str, ...] = ()
    interceptors: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """What the workers use and no name stands for: file, line and the keyword."""


def find_setup(reader: ProjectReader) -> ProjectSetup:
    """Return what the workers and clients of a project are given."""
    converters: list[str] = []
    lists: dict[str, list[str]] = {"plugins": [], "interceptors": []}
    left: list[str] = []
    for call in reader.setup_calls:
        names = call.names
        if (node := call.keywords.get(names.converter)) is not None:
            _add_name(reader, call, node, names.converter, converters, left)
        for key, keyword in (("plugins", names.plugins), ("interceptors", names.interceptors)):
            if (node := call.keywords.get(keyword)) is None:
                continue
            items = reader.list_items(node, call.file, call.scope)
            if items is None:
                parts = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
                items = [one.value if isinstance(one, ast.Starred) else one for one in parts]
            for item in items:
                _add_name(reader, call, item, keyword, lists[key], left)
        left += [_name_setup_place(reader, call, one) for one in names.others if one in call.keywords]
    converters = [one for one in dict.fromkeys(converters) if one not in _DEFAULTS]
    if len(converters) > 1:
        left.append(f"the workers and clients use several converters: {', '.join(converters)}")
    return ProjectSetup(
        _choose_places(reader),
        converters[0] if len(converters) == 1 else None,
        tuple(dict.fromkeys(lists["plugins"])),
        tuple(dict.fromkeys(lists["interceptors"])),
        tuple(dict.fromkeys(left)),
    )


def _add_name(
    reader: ProjectReader, call: SetupCall, node: ast.expr, keyword: str, found: list[str], left: list[str]
) -> None:
    name = name_expression(reader, node, call.file, call.scope)
    if name is not None:
        found.append(name)
    else:
        left.append(_name_setup_place(reader, call, keyword))


def _name_setup_place(reader: ProjectReader, call: SetupCall, keyword: str) -> str:
    return f"{reader.name_place(call.file)}:{call.line}: {keyword}"


def name_expression(
    reader: ProjectReader, node: ast.expr, file: Path, scope: Sequence[Scope], depth: int = 0
) -> str | None:
    """Return `module:attribute` of a name, of what a local variable holds, or of a class or function that is called."""
    if depth > _DEEPEST:
        return None
    if isinstance(node, ast.Call):
        return _name_call(reader, node, file, scope, depth)
    found = reader.resolve_expression(node, file, scope)
    if found is not None and found.name:
        place = found.module if found.file is None else _name_importable(reader, found.file)
        return f"{place}:{found.name}" if place is not None else None
    value = reader.find_assigned_value(node, file, scope)
    return name_expression(reader, *value, depth + 1) if value is not None else None


def _name_call(reader: ProjectReader, node: ast.Call, file: Path, scope: Sequence[Scope], depth: int) -> str | None:
    """Return the name of what is called without arguments, or of the one part that a copied converter changes."""
    name = name_expression(reader, node.func, file, scope, depth + 1)
    if not node.args and not node.keywords:
        return name
    parts = [one for one in node.keywords if one.arg in _PARTS]
    bases = [name_expression(reader, one, file, scope, depth + 1) for one in node.args]
    is_copy = name in _COPIES and len(parts) == len(node.keywords) == 1 and set(bases) <= _DEFAULTS
    return name_expression(reader, parts[0].value, file, scope, depth + 1) if is_copy else None


def _name_importable(reader: ProjectReader, file: Path) -> str | None:
    """Return how the settings name a file; None for a script that starts when it is imported."""
    tree = reader.parse_file(file)
    if tree is None or any(isinstance(one, ast.Expr) and isinstance(one.value, ast.Call) for one in tree.body):
        return None
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    if top not in list_near_roots([reader.folder], find_tree(reader.folder)):
        return reader.name_place(file)
    place = file.parent if file.name == "__init__.py" else file.with_suffix("")
    return ".".join(place.relative_to(top).parts)


def _choose_places(reader: ProjectReader) -> tuple[str, ...]:
    """Return packages as folders, where a new file is found too, and scripts as files."""
    found = []
    for name in find_project_code(reader).files:
        top = reader.folder / name
        while (top.parent / "__init__.py").is_file() and top.parent != reader.folder:
            top = top.parent
        found.append(reader.name_place(top) + ("/" if top.is_dir() else ""))
    return tuple(dict.fromkeys(found))
