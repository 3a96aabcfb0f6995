"""Search the user's loaded modules for steps that are still called or defined, and for the names of patches."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from functools import lru_cache

from replaytool.replay.call_site import is_user_file

Files = tuple[str, ...]
"""The files to search. Empty: those of all loaded user modules."""


@lru_cache(maxsize=256)
def is_called_in_user_code(name: str, files: Files = ()) -> bool:
    """Return whether a user's module names this step, other than where the step is defined."""
    if not name:
        return False
    names = {name} | {known for tree in _parse_files_with(name, files) for known in find_registered_names(tree, name)}
    return any(names_step(tree, names) for known in sorted(names) for tree in _parse_files_with(known, files))


def _parse_files_with(name: str, given: Files = ()) -> Iterator[ast.Module]:
    files = given or {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    for file in sorted(one for one in files if isinstance(one, str) and one.endswith(".py") and is_user_file(one)):
        text = "".join(linecache.getlines(file))
        if name in text:
            try:
                yield ast.parse(text)
            except (SyntaxError, ValueError):
                continue


def find_registered_names(tree: ast.Module, name: str) -> Iterator[str]:
    """Yield the functions and classes whose decorator registers them under this name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = [part for decorator in node.decorator_list for part in ast.walk(decorator)]
            if any(isinstance(part, ast.Constant) and part.value == name for part in inside):
                yield node.name


def names_step(tree: ast.Module, names: set[str]) -> bool:
    """Return whether an expression has one of the names, or a text that is one; decorators only define."""
    decorators = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for decorator in node.decorator_list
        for part in ast.walk(decorator)
    }
    return any(_read_step_name(node) in names for node in ast.walk(tree) if id(node) not in decorators)


def _read_step_name(node: ast.AST) -> object:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@lru_cache(maxsize=256)
def is_defined_in_user_code(name: str, files: Files = ()) -> bool:
    """Return whether a user's module defines a decorated function or class that is registered under this name."""
    return bool(name) and any(
        node.name == name and node.decorator_list
        for tree in _parse_files_with(name, files)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


@lru_cache(maxsize=16)
def find_call_texts(functions: tuple[str, ...], files: Files = ()) -> frozenset[str]:
    """Return the texts that the user's code gives to functions of these names as their first argument."""
    return frozenset(
        node.args[0].value
        for function in functions
        for tree in _parse_files_with(function, files)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute | ast.Name)
        and _read_step_name(node.func) in functions
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )
