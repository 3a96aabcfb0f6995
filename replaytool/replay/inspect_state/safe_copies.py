"""Copy what a workflow holds, for code that must not change it.

`copy.deepcopy` fails on the first object that it cannot copy, and follows a lock or a queue into the event loop.
Here an object that cannot be copied becomes an `Opaque` with the name of its type.
"""

from __future__ import annotations

import asyncio
import copy
import datetime
import decimal
import enum
import fractions
import re
import types
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import PurePath
from typing import Any

_LIMIT = 200_000
_UNCHANGING: tuple[type, ...] = (
    str, bytes, int, float, complex, bool, type(None), type, range, slice, enum.Enum, datetime.date, datetime.time,
    datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction, uuid.UUID, PurePath, re.Pattern,
    types.BuiltinFunctionType, types.CodeType, types.GenericAlias, types.UnionType,
)  # fmt: skip
_NEVER: tuple[type, ...] = (
    asyncio.Future, asyncio.AbstractEventLoop, types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType,
    types.FrameType, types.ModuleType,
)  # fmt: skip


class Opaque:
    """Stands for an object that cannot be copied."""

    def __init__(self, of: type) -> None:
        self.type_name = of.__name__

    def __repr__(self) -> str:
        return f"<{self.type_name}>"


class Copier:
    """Makes copies that belong together: one object stays one object."""

    def __init__(self) -> None:
        self._made: dict[int, object] = {}
        self._kept: list[object] = []
        self._count = 0

    def copy_value(self, value: object) -> Any:
        """The copy; never an exception."""
        kind = type(value)
        if kind in _PLAIN or issubclass(kind, _UNCHANGING):
            return value
        known = self._made.get(id(value))
        if known is not None:
            return known
        self._count += 1
        if self._count > _LIMIT or issubclass(kind, _NEVER):
            return Opaque(kind)
        self._kept.append(value)  # its id must stay its own
        try:
            return self._copy_new(value, kind)
        except Exception:  # of a class that will not be copied
            return Opaque(kind)

    def _copy_new(self, value: Any, kind: type) -> Any:
        if kind is tuple:
            return tuple(self.copy_value(one) for one in value)
        if kind is frozenset:
            return frozenset(self.copy_value(one) for one in value)
        if kind is types.MethodType:
            return types.MethodType(value.__func__, self.copy_value(value.__self__))
        if kind is types.FunctionType:
            return value
        # Known before its parts are copied: they may lead back to it.
        new = self._made[id(value)] = self._make_empty(value, kind)
        for base, fill in _FILL:
            if issubclass(kind, base):
                fill(self, new, value)
        for name, held in read_attributes(value):
            object.__setattr__(new, name, self.copy_value(held))
        return new

    def _make_empty(self, value: Any, kind: type) -> Any:
        builtin: Any = next((base for base, _ in _FILL if issubclass(kind, base)), object)
        if is_from_class_statement(kind) or builtin is kind:
            new = builtin.__new__(kind)
            if issubclass(kind, deque):
                deque.__init__(new, maxlen=value.maxlen)
            if issubclass(kind, defaultdict):
                new.default_factory = value.default_factory
            return new
        return copy.deepcopy(value)


def read_attributes(value: object) -> Iterator[tuple[str, object]]:
    """Yield an object's attributes from `__dict__` and slots, without running code of its class."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        held = {}
    if type(held) is dict:
        yield from list(held.items())
    for name, slot in _slots(type(value)):
        try:
            yield name, slot.__get__(value)
        except AttributeError:
            continue


@lru_cache(maxsize=1024)
def _slots_of(kind: type) -> tuple[tuple[str, types.MemberDescriptorType], ...]:
    return tuple(
        (name, slot)
        for base in kind.__mro__
        if is_from_class_statement(base)
        for name, slot in vars(base).items()
        if type(slot) is types.MemberDescriptorType
    )


_slots: Callable[[type], tuple[tuple[str, types.MemberDescriptorType], ...]] = _slots_of


def is_from_class_statement(kind: type) -> bool:
    """Return whether a class was made by Python code, not in C."""
    return kind.__flags__ & (_HEAP | _FIXED) == _HEAP


def _fill_list(copier: Copier, new: list[object], value: list[object]) -> None:
    list.extend(new, [copier.copy_value(one) for one in list.__iter__(value)])


def _fill_dict(copier: Copier, new: dict[object, object], value: dict[object, object]) -> None:
    for key, held in list(dict.items(value)):
        dict.__setitem__(new, copier.copy_value(key), copier.copy_value(held))


def _fill_set(copier: Copier, new: set[object], value: set[object]) -> None:
    for one in list(set.__iter__(value)):
        set.add(new, copier.copy_value(one))


def _fill_deque(copier: Copier, new: deque[object], value: deque[object]) -> None:
    deque.extend(new, [copier.copy_value(one) for one in deque.__iter__(value)])


_HEAP, _FIXED = 1 << 9, 1 << 8
"""Flags of a class made at run time, and of an immutable one. Both together mean a class from C."""
_PLAIN = {str, int, float, bool, type(None), bytes}
_FILL: tuple[tuple[type, Callable[[Copier, Any, Any], None]], ...] = (
    (list, _fill_list), (dict, _fill_dict), (set, _fill_set), (deque, _fill_deque),
)  # fmt: skip
