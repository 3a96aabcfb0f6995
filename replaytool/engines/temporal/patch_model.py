"""Patches of Temporal: their markers in histories, and their calls in code."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from replaytool.engines.temporal.events.event_types import MARKER
from replaytool.engines.temporal.events.labels import event_attributes
from replaytool.engines.temporal.events.payloads import payload_from_json
from replaytool.model.history import Event
from replaytool.model.patches import FoundCall, PatchMarker

_MODULE = "temporalio.workflow"
_ASKS, _DEPRECATES = "patched", "deprecate_patch"
_FUNCTIONS = (_ASKS, _DEPRECATES)
_VERSION_ID, _VERSION = ("change-id", "changeId"), ("version",)


class TemporalPatches:
    """Markers of every SDK, and calls of the Python SDK."""

    marker_types: Sequence[str] = (MARKER,)
    deprecating = f"workflow.{_DEPRECATES}"

    def read_markers(self, events: Iterable[Event]) -> Iterator[PatchMarker]:
        """Yield the patch and version markers among these events; others are passed over."""
        for event in events:
            found = event_attributes(msgspec.json.decode(event.raw)) if event.event_type == MARKER else {}
            details = found.get("details") or {}
            try:
                if found.get("markerName") == "core_patch":
                    yield _read_patch(event, details)
                elif found.get("markerName") == "Version":
                    yield _read_version(event, details)
            except (KeyError, IndexError, TypeError, ValueError):
                continue  # the SDK takes it for another SDK's marker too

    def find_calls(self, tree: ast.Module) -> Iterator[FoundCall]:
        """Yield the calls of `patched` and `deprecate_patch`, and where one of them is only named."""
        names = _ImportedNames.read(tree)
        constants = _read_constants(tree)
        called = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (function := names.find_function(node.func)):
                called.add(id(node.func))
                yield _make_call(node, function, constants)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute) and id(node) not in called:
                function = names.find_function(node)
                if function and isinstance(node.ctx, ast.Load):
                    yield FoundCall(node, None, function == _DEPRECATES)


def _read_patch(event: Event, details: Mapping[str, Any]) -> PatchMarker:
    if "patch-data" in details:
        data = msgspec.json.decode(_first_payload(details["patch-data"]))
        return PatchMarker(str(data["id"]), event.event_id, bool(data["deprecated"]))
    name = _first_payload(details["patch_id"]).decode()  # the older encoding: one detail for each value
    return PatchMarker(name, event.event_id, _first_payload(details["deprecated"])[0] != 0)


def _read_version(event: Event, details: Mapping[str, Any]) -> PatchMarker:
    name = next(msgspec.json.decode(_first_payload(details[key])) for key in _VERSION_ID if key in details)
    return PatchMarker(
        str(name), event.event_id, version=int(msgspec.json.decode(_first_payload(details[_VERSION[0]])))
    )


def _first_payload(detail: Mapping[str, Any]) -> bytes:
    return payload_from_json(detail["payloads"][0]).data


@dataclass
class _ImportedNames:
    """What a file calls the module and its functions."""

    modules: set[str] = field(default_factory=lambda: {"workflow", _MODULE})
    functions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, tree: ast.Module) -> _ImportedNames:
        """Read all imports of a file, also those in blocks and functions."""
        found = cls()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.modules |= {one.asname for one in node.names if one.name == _MODULE and one.asname}
                found.modules |= {
                    f"{one.asname}.workflow" for one in node.names if one.name == "temporalio" and one.asname
                }
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for one in node.names:
                    if node.module == "temporalio" and one.name == "workflow":
                        found.modules.add(one.asname or one.name)
                    elif node.module == _MODULE and one.name in (*_FUNCTIONS, "*"):
                        found.functions |= (
                            {name: name for name in _FUNCTIONS}
                            if one.name == "*"
                            else {one.asname or one.name: one.name}
                        )
        return found

    def find_function(self, node: ast.expr) -> str:
        """Return which function an expression names; "" for none of them."""
        if isinstance(node, ast.Name):
            return self.functions.get(node.id, "")
        is_ours = (
            isinstance(node, ast.Attribute) and node.attr in _FUNCTIONS and ast.unparse(node.value) in self.modules
        )
        return node.attr if is_ours and isinstance(node, ast.Attribute) else ""


def _make_call(node: ast.Call, function: str, constants: Mapping[str, str]) -> FoundCall:
    given = node.args[0] if node.args else next((one.value for one in node.keywords if one.arg == "id"), None)
    change_id = None
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        change_id = given.value
    elif isinstance(given, ast.Name):
        change_id = constants.get(given.id)
    if isinstance(node.func, ast.Attribute):
        deprecating, is_plain = f"{ast.unparse(node.func.value)}.{_DEPRECATES}", True
    else:  # the other function may have no name in this file
        deprecating, is_plain = f'{ast.unparse(node.func)}.__globals__["{_DEPRECATES}"]', False
    return FoundCall(node, change_id, function == _DEPRECATES, deprecating, is_plain)


def _read_constants(tree: ast.Module) -> dict[str, str]:
    """Return the texts that names of the module always have: those that are bound once in the whole file."""
    bound: dict[str, int] = {}
    for node in ast.walk(tree):
        for name in _names_bound_by(node):
            bound[name] = bound.get(name, 0) + 1
    found = {}
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text)))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text)))
            ) if bound[name] == 1:
                found[name] = text
    return found


def _names_bound_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.alias):
        return [node.asname or node.name]
    if isinstance(node, ast.Global | ast.Nonlocal):
        return list(node.names)
    if isinstance(node, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and node.name:
        return [node.name]
    return []


PATCHES = TemporalPatches()
