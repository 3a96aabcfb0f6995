"""Values made of live objects: bounded, without running any code of theirs, and shared with the step before.

No class of the user's is asked to describe itself: its `repr` may raise, loop, or write the whole world. Containers of
any class are read as the builtin that they are made of, objects by their attributes.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import operator
import types
import uuid
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import PurePath
from typing import Any, NamedTuple

from replaytool.model.debug_state import Item, Kind, Value
from replaytool.replay.inspect_state.safe_copies import Opaque, attributes, is_from_class_statement

LONGEST = 2000
"""Characters of one text."""
_HEAD, _TAIL = 80, 20
_DEEP = 8
_NODES = 4000
_LARGEST = 2**63
_FLOATS = {float("inf"): "inf", float("-inf"): "-inf"}


class Snapshots:
    """Makes one value after the other; parts that are equal to a part of the value before are the same object."""

    def __init__(self) -> None:
        self._last: dict[int, _Known] = {}
        self._now: dict[int, _Known] = {}
        self._named: dict[Hashable, Value] = {}

    def turn(self) -> None:
        """The next step begins: what the last one did not meet is forgotten."""
        self._last, self._now = self._now, {}

    def value(self, found: Any) -> Value:
        """One value."""
        return _Making(self).value(found, 0)

    def named(self, whose: Hashable, type_name: str, held: Iterable[tuple[str, Any]]) -> Value:
        """Attributes or variables, and whose they are: the same one's are compared with the last step's."""
        making = _Making(self)
        items = tuple([Item(name, making.value(one, 1)) for name, one in held])
        value = Value(type_name, "object", None, items, len(items))
        last = self._named.get(whose)
        if last == value:
            return last
        self._named[whose] = value
        return value

    def known(self, found: Any) -> _Known | None:
        """What this object gave, now or at the step before."""
        known = self._now.get(id(found)) or self._last.get(id(found))
        return known if known is not None and known.found is found else None

    def keep(self, known: _Known) -> Value:
        """Remember what an object gave."""
        self._now[id(known.found)] = known
        return known.value


class _Known(NamedTuple):
    """What an object gave. It is kept alive, so that its id stays its own."""

    found: Any
    held: Sequence[Any]
    """All that it held, where it is small enough for that to be compared."""
    look: _Look
    value: Value
    is_flat: bool
    """Whether it holds scalars only: then it is unchanged where it holds the same ones."""
    nodes: int
    """How much of the room for one value it takes."""


class _Making:
    """One value in the making."""

    def __init__(self, shared: Snapshots) -> None:
        self.shared = shared
        self.left = _NODES
        self.outer: list[int] = []

    def value(self, found: Any, depth: int) -> Value:
        kind = type(found)
        make = _SCALARS.get(kind)
        if make is not None:
            return make(found)  # type: ignore[no-any-return]
        self.left -= 1
        if id(found) in self.outer:
            return Value(kind.__name__, "again")
        if self.left <= 0 or depth >= _DEEP or kind is Opaque:
            return Value(found.type_name if kind is Opaque else kind.__name__, "opaque")
        self.outer.append(id(found))
        try:
            return self._made(found, kind, depth + 1)
        except Exception:  # of a class that will not be looked at
            return Value(kind.__name__, "opaque")
        finally:
            self.outer.pop()

    def _made(self, found: Any, kind: type, depth: int) -> Value:
        known = self.shared.known(found)
        held = _held(found, kind)
        if known is not None and known.is_flat and held and _same(known.held, held):
            self.left -= known.nodes
            return self.shared.keep(known)
        look = _same_keys(known, held) if known is not None and kind is dict and held else None
        look = look or _look(found, kind)
        if look is None:
            return _told(found) if issubclass(kind, _TOLD) else Value(kind.__name__, "opaque")
        before = self.left
        self.left -= len(look.parts)
        items = self._items(look, known, depth)
        value = Value(kind.__name__, look.kind, None, items, look.size)
        if known is not None and known.value == value:
            value = known.value
        is_flat = _SCALARS.keys() >= set(map(type, look.parts))
        return self.shared.keep(_Known(found, held, look, value, is_flat, before - self.left))

    def _items(self, look: _Look, known: _Known | None, depth: int) -> tuple[Item, ...]:
        """Items of the step before are taken again where the same scalars stand under their labels."""
        if known is None or not known.is_flat:
            return tuple(
                [Item(label, self.value(part, depth)) for label, part in zip(look.labels, look.parts, strict=True)]
            )
        kept = list(known.value.items[: len(look.parts)])
        same: Iterable[bool] = map(operator.is_, known.look.parts, look.parts)
        if known.look.labels[: len(kept)] != look.labels[: len(kept)]:
            same = map(operator.and_, same, map(operator.eq, known.look.labels, look.labels))
        for at in _where_not(same):
            kept[at] = Item(look.labels[at], self.value(look.parts[at], depth))
        more = range(len(kept), len(look.parts))
        return (*kept, *[Item(look.labels[at], self.value(look.parts[at], depth)) for at in more])


def _where_not(found: Iterable[bool]) -> Iterator[int]:
    """The places of what is false: few, in a list that was like this a step ago."""
    flags, at = [*found, False], -1
    while (at := flags.index(False, at + 1)) < len(flags) - 1:
        yield at


def _same_keys(known: _Known, held: Sequence[Any]) -> _Look | None:
    """The look of a dict that has the same keys as before: they need not be spelled again."""
    size = len(held) // 2
    if len(known.held) == len(held) and all(map(operator.is_, known.held[:size], held)):
        return known.look._replace(parts=held[size:])
    return None


def _held(found: Any, kind: type) -> Sequence[Any]:
    if kind is dict and len(found) <= _HEAD:
        return [*found, *found.values()]
    return tuple(found) if kind is list and len(found) <= _HEAD else ()


def _same(before: Sequence[Any], now: Sequence[Any]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


class _Look(NamedTuple):
    """The first and the last parts of a container."""

    kind: Kind
    size: int
    parts: Sequence[Any]
    labels: Sequence[str]


def _look(found: Any, kind: type) -> _Look | None:
    """What there is to see of a container or an object; None where it is neither."""
    for base, look in _LOOKS:
        if issubclass(kind, base):
            return look(found)
    if issubclass(kind, _TOLD) or not (is_from_class_statement(kind) or issubclass(kind, BaseException)):
        return None
    held = [(name, one) for name, one in attributes(found) if not name.startswith("__")]
    if issubclass(kind, BaseException):
        held.insert(0, ("args", found.args))
    shown = held[:_HEAD]
    return _Look("object", len(held), [one for _, one in shown], [name for name, _ in shown])


def _sequence(found: Any, size: int, part: Callable[[int, int], Sequence[Any]]) -> _Look:
    """The tail begins at a round place, so that a list that grows by one shows one more and moves nothing."""
    if size <= _HEAD + 2 * _TAIL:
        return _Look("list", size, part(0, size), _labels(0, size))
    tail = (size // _TAIL - 1) * _TAIL
    return _Look("list", size, [*part(0, _HEAD), *part(tail, size)], _HEAD_LABELS + _labels(tail, size))


def _labels(low: int, high: int) -> list[str]:
    """Indexes as labels. A list that grows asks for nearly the same ones at each step, so they are kept."""
    if high > _MOST_INDEXES:
        return [f"[{at}]" for at in range(low, high)]
    if high > len(_INDEXES):
        _INDEXES.extend([f"[{at}]" for at in range(len(_INDEXES), high + 1000)])
    return _INDEXES[low:high]


def _list(found: Any) -> _Look:
    base: Any = list if issubclass(type(found), list) else tuple
    return _sequence(found, base.__len__(found), lambda low, high: base.__getitem__(found, slice(low, high)))


def _deque(found: Any) -> _Look:
    parts = list(islice(deque.__iter__(found), _NODES))
    return _sequence(found, deque.__len__(found), lambda low, high: parts[low:high])


def _set(found: Any) -> _Look:
    """Sets have no order that means anything, so they are shown in one that is always the same."""
    base: Any = set if issubclass(type(found), set) else frozenset
    parts = sorted(islice(base.__iter__(found), _NODES), key=_order)[: _HEAD + _TAIL]
    return _Look("list", base.__len__(found), parts, _INDEXES[: len(parts)])


def _order(value: Any) -> tuple[str, Any]:
    kind = type(value)
    if kind is int or kind is float or kind is bool:
        return ("", value)
    return (kind.__name__, value if kind is str else "")


def _dict(found: Any) -> _Look:
    size = dict.__len__(found)
    pairs = list(islice(dict.items(found), _HEAD))
    if size > _HEAD:
        pairs += reversed(list(islice(reversed(dict.items(found)), min(_TAIL, size - _HEAD))))
    return _Look("map", size, [one for _, one in pairs], [_label(key) for key, _ in pairs])


def _label(key: Any) -> str:
    if type(key) is str:
        return str(key[:LONGEST])
    if type(key) is tuple:
        return "(" + ", ".join(_label(one) for one in key[:8]) + ")"
    if issubclass(type(key), _TOLD):
        return str(_told(key).scalar)
    return repr(key)[:LONGEST] if type(key) in _SCALARS else f"<{type(key).__name__}>"


def _text(found: str) -> Value:
    return Value("str", "scalar", found[:LONGEST], (), len(found))


def _bytes(found: bytes) -> Value:
    return Value("bytes", "opaque", repr(found[:200]) + ("…" if len(found) > 200 else ""), (), len(found))


def _int(found: int) -> Value:
    if -_LARGEST <= found < _LARGEST:
        return Value("int", "scalar", found)
    return Value("int", "opaque", str(found) if found.bit_length() < 2000 else f"<int of {found.bit_length()} bits>")


def _float(found: float) -> Value:
    if found != found or found in _FLOATS:
        return Value("float", "opaque", _FLOATS.get(found, "nan"))
    return Value("float", "scalar", found)


_SCALARS: dict[type, Any] = {
    bool: lambda found: Value("bool", "scalar", found),
    type(None): lambda found: Value("NoneType"),
    int: _int,
    float: _float,
    str: _text,
    bytes: _bytes,
}
_CALLED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_TOLD = (
    enum.Enum, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID,
    PurePath, *_CALLED,
)  # fmt: skip
_INDEXES = [f"[{at}]" for at in range(_HEAD + _TAIL)]
_HEAD_LABELS = _INDEXES[:_HEAD]
_MOST_INDEXES = 100_000
_LOOKS = ((list, _list), (tuple, _list), (dict, _dict), (set, _set), (frozenset, _set), (deque, _deque))


def _told(found: Any) -> Value:
    """What is best shown as the text that its own module gives it, as long as that text is the standard library's."""
    kind: type[Any] = type(found)
    if issubclass(kind, enum.Enum):
        return Value(kind.__name__, "scalar", f"{kind.__name__}.{found._name_}")
    if issubclass(kind, _CALLED):
        return Value(type(found).__name__, "opaque", _named(found))
    if kind.__str__ is not _base(kind).__str__:
        return Value(kind.__name__, "opaque")
    return Value(kind.__name__, "scalar", str(found)[:LONGEST])


def _named(found: Any) -> str:
    return f"<{type(found).__name__} {getattr(found, '__qualname__', '')}>"[:LONGEST]


def _base(kind: type) -> type:
    """The class of the standard library that a class is or comes from."""
    return next(one for one in kind.__mro__ if one.__module__.partition(".")[0] in _STANDARD)


_STANDARD = {"datetime", "decimal", "fractions", "uuid", "pathlib"}
