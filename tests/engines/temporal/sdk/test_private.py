"""The SDK's private names stand in one list, and the installed release has them as the list says."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.engines.temporal.sdk import private
from replaytool.engines.temporal.sdk.private import PRIVATE_NAMES, PrivateName
from replaytool.engines.temporal.sdk.versions import NEWEST, OLDEST, RELEASE

pytestmark = pytest.mark.oldest
ROOT = Path(private.__file__).parents[4]
SOURCES = [path for place in ("replaytool", "formats", "tui") for path in sorted((ROOT / place).rglob("*.py"))]
NOT_THE_SDK = {"self", "cls", "sys", "os", "asyncio", "atexit"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def owner_of(row: PrivateName) -> object:
    module, _, name = row.owner.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found


def has_name(row: PrivateName) -> bool:
    """Attributes that `__init__` sets, and names in the sandbox's generated source, stand only in the class's text."""
    try:
        owner = owner_of(row)
    except (ImportError, AttributeError):
        return False
    if hasattr(owner, row.name):
        return True
    return inspect.isclass(owner) and re.search(rf"\b{row.name}\b", inspect.getsource(owner)) is not None


@pytest.mark.parametrize("row", PRIVATE_NAMES, ids=lambda row: f"{row.owner}.{row.name}")
def test_the_installed_release_has_the_name_as_listed(row: PrivateName) -> None:
    if not OLDEST <= RELEASE <= NEWEST:
        pytest.skip("a release that was not seen yet")
    assert has_name(row) == row.is_seen_in(RELEASE[1])


@pytest.mark.parametrize("row", PRIVATE_NAMES, ids=lambda row: f"{row.owner}.{row.name}")
def test_a_name_is_listed_with_supported_releases_only(row: PrivateName) -> None:
    seen = [minor for minor in range(100) if row.is_seen_in(minor)]
    assert seen
    assert OLDEST[1] <= seen[0] <= seen[-1] <= NEWEST[1]


def private_imports(tree: ast.AST) -> Iterator[str]:
    """The underscore modules and names of temporalio that a module imports or reaches by their dotted path."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "temporalio":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        else:
            continue
        for name in names:
            if name.startswith("temporalio.") and any(is_private(part) for part in name.split(".")):
                yield name


def test_only_the_list_imports_private_names() -> None:
    found = {str(path.relative_to(ROOT)): list(private_imports(ast.parse(path.read_text()))) for path in SOURCES}
    assert [path for path, names in found.items() if names] == ["replaytool/engines/temporal/sdk/private.py"]


def foreign_attributes(tree: ast.AST) -> Iterator[str]:
    """Private attributes of objects other than `self`, and those named in `getattr` and its relatives."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in NOT_THE_SDK):
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and is_private(name.value):
                yield name.value


def own_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            yield node.attr


def test_private_attributes_of_the_sdk_are_listed() -> None:
    trees = [ast.parse(path.read_text()) for path in SOURCES if "engines/temporal" in path.as_posix()]
    own = {name for tree in trees for name in own_names(tree)}
    listed = {row.name for row in PRIVATE_NAMES}
    assert {name for tree in trees for name in foreign_attributes(tree)} - own <= listed


def test_what_the_list_exports_is_what_it_lists() -> None:
    listed = {row.name.removeprefix("_").lower() for row in PRIVATE_NAMES}
    modules = {"worker_module", "workflow_instance_module"}
    exported = set(private.__all__) - {"PRIVATE_NAMES", "PrivateName"} - modules
    renamed = {"WorkflowDefinition": "definition", "SandboxInstance": "instance"}
    assert {renamed.get(name, name.lower()) for name in exported} <= listed
