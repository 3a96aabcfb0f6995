"""Detect whether anything that a module holds has changed.

Everything reachable from a module changes only where a container changes. So it is enough to remember which objects
each container holds; those objects are remembered in turn. The containers are found once and compared later.
"""

from __future__ import annotations

import collections
import itertools
import operator
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

Look = Callable[[Any], object]
Point = tuple[Look, object, object]
"""How to look at a container, the container, and what it looked like."""
_MACHINERY = ("__builtins__", "__loader__", "__spec__")
"""What an import leaves in each module. The builtins belong to the whole process, also in a sandbox."""

_LIMIT = 5000
_UNCHANGING = (
    str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented), types.BuiltinFunctionType,
    types.ModuleType, types.GenericAlias, types.UnionType, range, slice, types.CodeType,
)  # fmt: skip
_VALUES = ("datetime", "decimal", "re", "typing", "uuid", "enum", "fractions", "pathlib", "logging", "zoneinfo")
_PLAIN = ("builtins", "typing", "types", "_thread", "temporalio", "__future__", "functools", "abc", "_abc")


class _CannotInspect(Exception):
    """Something may change without showing it."""


class ModuleStateWatch:
    """All containers that some modules lead to, and what they held."""

    def __init__(self, walk: _ModuleWalk) -> None:
        self._held = [
            ContainerContents(walk.mappings),
            ContainerContents(list(map(_values, walk.mappings))),
            ContainerContents(walk.sequences),
        ]
        self._points, self._kept = walk.points, walk.kept

    def is_unchanged(self) -> bool:
        """Return whether each container holds the same objects as before."""
        return all(held.has_same_objects() for held in self._held) and all(
            look(held) == before for look, held, before in self._points
        )


class ContainerContents:
    """The objects in many containers, in order. They are kept alive, because a freed id could be reused."""

    def __init__(self, containers: Sequence[Collection[object]]) -> None:
        self._containers = containers
        self._sizes = [*map(len, containers)]
        self._objects = [*itertools.chain.from_iterable(containers)]

    def has_same_objects(self) -> bool:
        """Return whether each container holds the same objects in the same order."""
        if [*map(len, self._containers)] != self._sizes:
            return False
        try:
            return all(map(operator.is_, itertools.chain.from_iterable(self._containers), self._objects))
        except RuntimeError:  # another thread is changing a container right now
            return False


def watch_modules(modules: Iterable[types.ModuleType]) -> ModuleStateWatch | None:
    """Return everything that the modules lead to; None if something cannot be inspected."""
    walk = _ModuleWalk()
    try:
        for module in modules:
            walk.visit_module(module)
        walk.visit_all()
    except Exception:  # `_CannotInspect`, or what an object raises that is looked at, as the sandbox's proxies do
        return None
    return ModuleStateWatch(walk)


_values = operator.methodcaller("values")


class _ModuleWalk:
    def __init__(self) -> None:
        self.points: list[Point] = []
        self.kept: list[object] = []
        """What the points know by its id only."""
        self.mappings: list[Mapping[Any, object]] = []
        self.sequences: list[Collection[object]] = []
        self._seen: set[int] = set()
        self._todo: list[object] = []

    def visit_all(self) -> None:
        while self._todo:
            value = self._todo.pop()
            if isinstance(value, _UNCHANGING) or id(value) in self._seen:
                continue
            self._seen.add(id(value))
            # All that is found here is compared again after every run, so its number needs a bound.
            if len(self._seen) > _LIMIT:
                raise _CannotInspect
            self._visit_value(value)

    def _visit_value(self, value: object) -> None:
        for kinds, visit in _VISITS:
            if isinstance(value, kinds):
                visit(self, value)
                return
        self.visit_instance(value)

    def _add_point(self, look: Look, held: object, inside: Iterable[object] = ()) -> None:
        self.points.append((look, held, look(held)))
        found = [*inside]
        self.kept += found
        self._todo += found

    def visit_module(self, module: types.ModuleType) -> None:
        self.mappings.append(vars(module))
        self._todo.extend(value for name, value in vars(module).items() if name not in _MACHINERY)

    def visit_dictionary(self, value: Mapping[Any, object]) -> None:
        self.mappings.append(value)
        self._todo.extend(value.values())

    def visit_sequence(self, value: Collection[object]) -> None:
        self.sequences.append(value)
        self._todo.extend(value)

    def visit_frozen(self, value: Iterable[object]) -> None:
        self._todo.extend(value)

    def visit_set(self, value: set[object]) -> None:
        self._add_point(set, value, value)

    def visit_printable(self, value: object) -> None:
        self._add_point(repr, value)

    def visit_class(self, value: type) -> None:
        """Visit a class: shared state often lives there. Classes of libraries are the same for all runs."""
        if value.__module__.partition(".")[0] not in ("builtins", "typing", "temporalio", "google", "abc", "enum"):
            self.visit_dictionary(vars(value))

    def visit_function(self, value: types.FunctionType) -> None:
        self._todo += [value.__defaults__, value.__kwdefaults__]
        self.visit_dictionary(vars(value))
        for cell in value.__closure__ or ():
            self._add_point(_cell_content_id, cell, [_cell_contents(cell)])

    def visit_method(self, value: types.MethodType | staticmethod[..., object]) -> None:
        self._todo.append(value.__func__)

    def visit_property(self, value: property) -> None:
        self._todo += [value.fget, value.fset, value.fdel]

    def visit_instance(self, value: object) -> None:
        kind = type(value)
        if callable(getattr(value, "cache_info", None)):
            self._add_point(operator.methodcaller("cache_info"), value)
        elif kind.__module__.partition(".")[0] not in _VALUES:
            self._visit_attributes(value, kind)

    def _visit_attributes(self, value: object, kind: type) -> None:
        slots = tuple(name for one in kind.__mro__ for name in _slot_names(one))
        held = getattr(value, "__dict__", None)
        if held is None and not slots:
            # An iterator or a C object of a library may change without anything to compare.
            if hasattr(value, "__next__") or kind.__module__.partition(".")[0] not in _PLAIN:
                raise _CannotInspect
            return
        if isinstance(held, dict):
            self.visit_dictionary(held)
        if slots:
            self._add_point(_slot_ids_view(slots), value, [getattr(value, name, None) for name in slots])


_VISITS: tuple[tuple[type | tuple[type, ...], Callable[[_ModuleWalk, Any], None]], ...] = (
    (type, _ModuleWalk.visit_class),
    (types.FunctionType, _ModuleWalk.visit_function),
    ((list, collections.deque), _ModuleWalk.visit_sequence),
    ((tuple, frozenset), _ModuleWalk.visit_frozen),
    (set, _ModuleWalk.visit_set),
    ((dict, types.MappingProxyType), _ModuleWalk.visit_dictionary),
    ((staticmethod, classmethod, types.MethodType), _ModuleWalk.visit_method),
    (property, _ModuleWalk.visit_property),
    ((itertools.count, bytearray), _ModuleWalk.visit_printable),
)


def _cell_contents(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _cell_content_id(cell: types.CellType) -> int:
    return id(_cell_contents(cell))


def _slot_names(kind: type) -> tuple[str, ...]:
    named = vars(kind).get("__slots__", ())
    return (named,) if isinstance(named, str) else tuple(named)


def _slot_ids_view(names: tuple[str, ...]) -> Look:
    return lambda held: [id(getattr(held, name, None)) for name in names]
