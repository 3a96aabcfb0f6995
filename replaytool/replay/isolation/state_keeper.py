"""Set back what replays change in the user's modules, so that no verdict depends on what was replayed before.

A sandbox imports the workflow's modules again. It shares what is passed through, as unsandboxed code shares everything.
So a worker process remembers what the user's modules hold after the import, and sets it back before each replay.
"""

from __future__ import annotations

import ast
import collections
import itertools
import os
import random
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from replaytool.replay.isolation.module_state import ContainerContents

_LIMIT = 100_000
"""Objects. More take longer to compare than a process takes to fork."""
_UNCHANGING = (
    str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented), types.BuiltinFunctionType,
    types.ModuleType, types.GenericAlias, types.UnionType, types.CodeType, range, slice,
)  # fmt: skip
_SETTLED = (
    "temporalio", "google", "logging", "typing", "re", "datetime", "decimal", "uuid", "enum", "fractions", "pathlib",
    "zoneinfo",
)  # fmt: skip
"""Libraries whose objects are values, or change for themselves only."""
_COUNTER = itertools.count
_get_values = dict.values
_MISSING = object()


_INSTALLED = frozenset({"site-packages", "dist-packages"})


def is_module_of_project(file: str, roots: Sequence[str]) -> bool:
    """Return whether a user's file is no installed library: a virtual environment may lie in the project's folder."""
    root = next((one for one in roots if file.startswith(one + os.sep)), "")
    below = file.removeprefix(root).split(os.sep)
    return os.path.basename(root) not in _INSTALLED and _INSTALLED.isdisjoint(below)


class ModuleStateKeeper:
    """What the user's modules held when nothing had run yet."""

    def __init__(self, is_user_file: Callable[[str], bool]) -> None:
        self._is_user_file = is_user_file
        self._names = self._find_user_modules()
        self._module_count = len(sys.modules)
        self._walk = _StateWalk(self._names)
        self.needs_process = self._walk.has_iterator
        """Whether something cannot be set back: then each job needs a process of its own."""

    def _find_user_modules(self) -> dict[str, types.ModuleType]:
        listed = [(name, module, getattr(module, "__file__", None)) for name, module in list(sys.modules.items())]
        return {
            name: module
            for name, module, file in listed
            if isinstance(module, types.ModuleType) and isinstance(file, str) and self._is_user_file(file)
        }

    def restore_state(self) -> None:
        """Set back what has changed; it costs little where nothing has."""
        if len(sys.modules) != self._module_count:
            # What a replay imported would not run its import again in the next one.
            for name in self._find_user_modules().keys() - self._names.keys():
                del sys.modules[name]
            self._module_count = len(sys.modules)
        if self._walk.is_unchanged():
            return
        self._walk.restore_contents()
        if not self._walk.is_unchanged():
            self._walk = _StateWalk(self._names)  # a counter was replaced, or Python noted something for itself


_keeper: ModuleStateKeeper | None = None


def keep_module_state(is_user_file: Callable[[str], bool]) -> ModuleStateKeeper:
    """Remember what the user's modules hold; call this in a process that has imported them and run nothing."""
    global _keeper
    _keeper = ModuleStateKeeper(is_user_file)
    return _keeper


def restore_module_state() -> None:
    """Set the user's modules back before a replay; do nothing in a process that did not ask to keep their state."""
    if _keeper is not None:
        _keeper.restore_state()


class _StateWalk:
    """All that can change and that the modules lead to. Objects of libraries are looked into, not what they lead to."""

    def __init__(self, modules: Mapping[str, types.ModuleType]) -> None:
        self._own = {module.__name__ for module in modules.values()} | modules.keys()
        self._namespaces: list[tuple[Any, dict[Any, Any]]] = []
        """Modules and classes: names with two underscores on both sides are Python's."""
        self._mappings: list[tuple[Any, dict[Any, Any]]] = []
        self._sequences: list[tuple[Any, list[Any]]] = []
        self._sets: list[tuple[Any, frozenset[Any]]] = []
        self._cells: list[tuple[Any, Any]] = []
        self._slots: list[tuple[Any, str, Any]] = []
        self._caches: list[tuple[Any, Any]] = []
        self._printed: list[tuple[Any, Any, Callable[[Any], Any]]] = []
        self.has_iterator = False
        self._seen: set[int] = set()
        self._todo: list[tuple[Any, bool]] = []
        for module in modules.values():
            self._add_namespace(module, vars(module))
        while self._todo and len(self._seen) <= _LIMIT:
            self._visit_value(*self._todo.pop())
        self.has_iterator |= bool(self._todo)
        held: list[Any] = [vars(one) for one, _ in self._namespaces] + [one for one, _ in self._mappings]
        self._contents = (
            ContainerContents(held),
            ContainerContents([one.values() for one in held]),
            ContainerContents([one for one, _ in self._sequences]),
        )

    # Find.

    def _queue_values(self, values: Iterable[Any], is_foreign: bool = False) -> None:
        self._todo += [(value, is_foreign) for value in values if not isinstance(value, _UNCHANGING)]

    def _add_namespace(self, owner: Any, held: Mapping[str, Any]) -> None:
        names = {name: value for name, value in held.items() if not _is_dunder(name)}
        self._namespaces.append((owner, names))
        self._queue_values(names.values())

    def _visit_value(self, value: Any, is_foreign: bool) -> None:
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, type):
            if value.__module__ in self._own:
                self._add_namespace(value, vars(value))
        elif isinstance(value, types.FunctionType):
            if value.__module__ in self._own:
                self._visit_function(value)
        elif isinstance(value, staticmethod | classmethod | types.MethodType):
            self._queue_values([value.__func__])
        elif isinstance(value, property):
            self._queue_values([value.fget, value.fset])
        elif isinstance(value, dict):
            self._mappings.append((value, dict(value)))
            self._queue_values(value.values(), is_foreign)
        elif isinstance(value, list | collections.deque):
            self._sequences.append((value, list(value)))
            self._queue_values(value, is_foreign)
        elif isinstance(value, tuple | frozenset):
            self._queue_values(value, is_foreign)
        elif isinstance(value, set):
            self._sets.append((value, frozenset(value)))
            self._queue_values(value, is_foreign)
        else:
            self._visit_instance(value, is_foreign)

    def _visit_function(self, value: types.FunctionType) -> None:
        self._mappings.append((vars(value), dict(vars(value))))
        self._queue_values([*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()])
        self._queue_values(vars(value).values())
        for cell in value.__closure__ or ():
            held = _cell_contents(cell)
            self._cells.append((cell, held))
            self._queue_values([held])

    def _visit_instance(self, value: Any, is_foreign: bool) -> None:
        if callable(getattr(value, "cache_clear", None)) and callable(getattr(value, "cache_info", None)):
            self._caches.append((value, value.cache_info()))
            self._queue_values([getattr(value, "__wrapped__", None)])
        elif isinstance(value, random.Random):
            self._printed.append((value, value.getstate(), random.Random.getstate))
        elif isinstance(value, _COUNTER | bytearray):
            self._printed.append((value, repr(value), repr))
        elif hasattr(type(value), "__next__") and type(value).__module__ in ("builtins", "itertools"):
            self.has_iterator = True
        else:
            self._visit_attributes(value, is_foreign)

    def _visit_attributes(self, value: Any, is_foreign: bool) -> None:
        is_own = type(value).__module__ in self._own
        if not is_own and (is_foreign or type(value).__module__.partition(".")[0] in _SETTLED):
            return  # what an object of a library holds in turn is the library's
        held = getattr(value, "__dict__", None)
        if isinstance(held, dict):
            self._mappings.append((held, dict(held)))
            self._queue_values(held.values(), not is_own)
        for name in _slot_names(type(value)) if is_own else ():
            found = getattr(value, name, _MISSING)
            self._slots.append((value, name, found))
            self._queue_values([found])

    # Compare.

    def is_unchanged(self) -> bool:
        """Return whether everything holds what it held."""
        return (
            all(held.has_same_objects() for held in self._contents)
            and all(one == before for one, before in self._sets)
            and all(_cell_contents(cell) is before for cell, before in self._cells)
            and all(getattr(one, name, _MISSING) is before for one, name, before in self._slots)
            and all(one.cache_info() == before for one, before in self._caches)
            and all(look(one) == before for one, before, look in self._printed)
        )

    # Set back.

    def restore_contents(self) -> None:
        """Write into each container what it held."""
        replaced = self._restore_printed()
        for cache, before in self._caches:
            if cache.cache_info() != before:
                cache.cache_clear()
        for owner, names in self._namespaces:
            _restore_names(owner, _replace_values(names, replaced))
        for mapping, before in self._mappings:
            _restore_mapping(mapping, _replace_values(before, replaced))
        for sequence, items in self._sequences:
            if len(sequence) != len(items) or any(map(_is_other, sequence, items)):
                sequence.clear()
                sequence.extend(items)
        for held, members in self._sets:
            if held != members:
                held.clear()
                held.update(members)
        for cell, content in self._cells:
            if _cell_contents(cell) is not content and content is not _MISSING:
                cell.cell_contents = content
        for one, name, slot in self._slots:
            if slot is not _MISSING and getattr(one, name, _MISSING) is not slot:
                object.__setattr__(one, name, slot)

    def _restore_printed(self) -> dict[int, Any]:
        """Set back random numbers and byte arrays; return a new counter for each that has counted, by its id."""
        replaced: dict[int, Any] = {}
        for one, before, look in self._printed:
            if look(one) == before:
                continue
            if isinstance(one, random.Random):
                one.setstate(before)
            elif isinstance(one, bytearray):
                one[:] = ast.literal_eval(before.removeprefix("bytearray(").removesuffix(")"))
            else:
                replaced[id(one)] = _COUNTER(*ast.literal_eval(f"({before.removeprefix('count(')[:-1]},)"))
        return replaced


def _is_dunder(name: object) -> bool:
    return isinstance(name, str) and name.startswith("__") and name.endswith("__")


def _is_other(one: object, other: object) -> bool:
    return one is not other


def _replace_values(held: dict[Any, Any], replaced: Mapping[int, Any]) -> dict[Any, Any]:
    return {key: replaced.get(id(value), value) for key, value in held.items()} if replaced else held


def _restore_names(owner: Any, names: dict[str, Any]) -> None:
    """Set the names of a module or class back. A metaclass has no say: an enumeration refuses assignments."""
    set_name, delete = (type.__setattr__, type.__delattr__) if isinstance(owner, type) else (setattr, delattr)
    held = vars(owner)
    for name in [name for name in held if not _is_dunder(name) and name not in names]:
        delete(owner, name)
    for name, value in names.items():
        if held.get(name, _MISSING) is not value:
            set_name(owner, name, value)


def _restore_mapping(mapping: Any, before: dict[Any, Any]) -> None:
    if list(mapping) == list(before) and not any(map(_is_other, _get_values(mapping), before.values())):
        return
    mapping.clear()
    for key, value in before.items():
        mapping[key] = value


def _cell_contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING


def _slot_names(kind: type) -> Sequence[str]:
    found = [vars(one).get("__slots__", ()) for one in kind.__mro__]
    names = [name for named in found for name in ((named,) if isinstance(named, str) else tuple(named))]
    return [name for name in names if not _is_dunder(name)]
