"""Whether anything that a module holds has changed: everything in it that could is found once, and looked at after.

What can be reached from a module changes only where something changes that is itself a container. So it is enough to
remember of each container which objects it holds; what those hold is remembered with them.
"""

from __future__ import annotations

import collections
import itertools
import operator
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Look = Callable[[Any], Any]
Point = tuple[Look, Any, Any]
"""How to look at a container, the container, and what it looked like."""
_MACHINERY = ("__builtins__", "__loader__", "__spec__")
"""What importing leaves in each module; the builtins are the whole process's, in the SDK's sandbox too."""

_LIMIT = 5000
_UNCHANGING = (
    str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented), types.BuiltinFunctionType,
    types.ModuleType, types.GenericAlias, types.UnionType, range, slice, types.CodeType,
)  # fmt: skip
_VALUES = ("datetime", "decimal", "re", "typing", "uuid", "enum", "fractions", "pathlib", "logging", "zoneinfo")
_PLAIN = ("builtins", "typing", "types", "_thread", "temporalio", "__future__", "functools", "abc", "_abc")


class _Unclear(Exception):
    """Something that may change and does not show it."""


class Watched:
    """All containers that some modules lead to, and what was in them."""

    def __init__(self, walk: _Walk) -> None:
        self._held = [_Held(walk.mappings), _Held(list(map(_values, walk.mappings))), _Held(walk.sequences)]
        self._points, self._kept = walk.points, walk.kept

    def is_as_it_was(self) -> bool:
        """Whether each holds the very objects that it held."""
        return all(held.is_same() for held in self._held) and all(
            look(held) == before for look, held, before in self._points
        )


class _Held:
    """The objects in many containers, in order. They are kept: the id of one that is gone could be another's."""

    def __init__(self, containers: Sequence[Any]) -> None:
        self._containers = containers
        self._sizes = [*map(len, containers)]
        self._objects = [*itertools.chain.from_iterable(containers)]

    def is_same(self) -> bool:
        if [*map(len, self._containers)] != self._sizes:
            return False
        try:
            return all(map(operator.is_, itertools.chain.from_iterable(self._containers), self._objects))
        except RuntimeError:  # another thread changes one of them at this very moment
            return False


def watched(modules: Iterable[types.ModuleType]) -> Watched | None:
    """All that the modules lead to; None where there is something that cannot be looked into."""
    walk = _Walk()
    try:
        for module in modules:
            walk.module(module)
        walk.all()
    except _Unclear:
        return None
    return Watched(walk)


_values = operator.methodcaller("values")


class _Walk:
    def __init__(self) -> None:
        self.points: list[Point] = []
        self.kept: list[Any] = []
        """What the points know by its id only."""
        self.mappings: list[Any] = []
        self.sequences: list[Any] = []
        self._seen: set[int] = set()
        self._todo: list[Any] = []

    def all(self) -> None:
        while self._todo:
            value = self._todo.pop()
            if isinstance(value, _UNCHANGING) or id(value) in self._seen:
                continue
            self._seen.add(id(value))
            if len(self._seen) > _LIMIT:
                raise _Unclear
            self._visit(value)

    def _visit(self, value: Any) -> None:
        for kinds, visit in _VISITS:
            if isinstance(value, kinds):
                visit(self, value)
                return
        self.instance(value)

    def _watch(self, look: Look, held: Any, inside: Iterable[Any] = ()) -> None:
        self.points.append((look, held, look(held)))
        found = [*inside]
        self.kept += found
        self._todo += found

    def module(self, module: types.ModuleType) -> None:
        self.mappings.append(vars(module))
        self._todo.extend(value for name, value in vars(module).items() if name not in _MACHINERY)

    def dictionary(self, value: Any) -> None:
        self.mappings.append(value)
        self._todo.extend(value.values())

    def sequence(self, value: Any) -> None:
        self.sequences.append(value)
        self._todo.extend(value)

    def unchanging(self, value: Any) -> None:
        self._todo.extend(value)

    def group(self, value: Any) -> None:
        self._watch(set, value, value)

    def shown(self, value: Any) -> None:
        self._watch(repr, value)

    def kind(self, value: type) -> None:
        """Classes are where code likes to keep what it shares; those of other modules are not the sandbox's."""
        if value.__module__.partition(".")[0] not in ("builtins", "typing", "temporalio", "google", "abc", "enum"):
            self.dictionary(vars(value))

    def function(self, value: Any) -> None:
        self._todo += [value.__defaults__, value.__kwdefaults__]
        self.dictionary(vars(value))
        for cell in value.__closure__ or ():
            self._watch(_of_cell, cell, [_in_cell(cell)])

    def inner(self, value: Any) -> None:
        self._todo.append(value.__func__)

    def accessor(self, value: Any) -> None:
        self._todo += [value.fget, value.fset, value.fdel]

    def instance(self, value: Any) -> None:
        kind = type(value)
        if callable(getattr(value, "cache_info", None)):
            self._watch(lambda held: held.cache_info(), value)
        elif kind.__module__.partition(".")[0] not in _VALUES:
            self._parts(value, kind)

    def _parts(self, value: Any, kind: type) -> None:
        slots = tuple(name for one in kind.__mro__ for name in _slots(one))
        held = getattr(value, "__dict__", None)
        if held is None and not slots:
            if hasattr(value, "__next__") or kind.__module__.partition(".")[0] not in _PLAIN:
                raise _Unclear
            return
        if isinstance(held, dict):
            self.dictionary(held)
        if slots:
            self._watch(_of_slots(slots), value, [getattr(value, name, None) for name in slots])


_VISITS: tuple[tuple[Any, Callable[[_Walk, Any], None]], ...] = (
    (type, _Walk.kind),
    (types.FunctionType, _Walk.function),
    ((list, collections.deque), _Walk.sequence),
    ((tuple, frozenset), _Walk.unchanging),
    (set, _Walk.group),
    ((dict, types.MappingProxyType), _Walk.dictionary),
    ((staticmethod, classmethod, types.MethodType), _Walk.inner),
    (property, _Walk.accessor),
    ((itertools.count, bytearray), _Walk.shown),
)


def _in_cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _of_cell(cell: Any) -> int:
    return id(_in_cell(cell))


def _slots(kind: type) -> tuple[str, ...]:
    named = vars(kind).get("__slots__", ())
    return (named,) if isinstance(named, str) else tuple(named)


def _of_slots(names: tuple[str, ...]) -> Look:
    return lambda held: [id(getattr(held, name, None)) for name in names]
