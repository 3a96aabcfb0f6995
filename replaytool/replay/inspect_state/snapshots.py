"""Make bounded values of live objects without running their code; unchanged parts are shared with the step before.

A user's `repr` may raise, loop or have effects, so it is never called. Containers of any class are read as the builtin
that they derive from, objects by their attributes.
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

from replaytool.model.debug_state import Kind, StateValue, ValueItem
from replaytool.replay.inspect_state.safe_copies import Opaque, is_from_class_statement, read_attributes

LONGEST = 2000
"""Characters of one text."""
_HEAD, _TAIL = 80, 20
_DEEP = 8
_NODES = 4000
_LARGEST = 2**63
_FLOATS = {float("inf"): "inf", float("-inf"): "-inf"}


class Snapshots:
    """Makes one value after the other; a part equal to one of the value before is the same object."""

    def __init__(self) -> None:
        self._last: dict[int, _KnownValue] = {}
        self._now: dict[int, _KnownValue] = {}
        self._named: dict[Hashable, StateValue] = {}

    def next_step(self) -> None:
        """Start the next step; forget objects that the last step did not contain."""
        self._last, self._now = self._now, {}

    def snapshot_value(self, found: object) -> StateValue:
        """Return one value."""
        return _ValueBuilder(self).build_value(found, 0)

    def snapshot_names(self, whose: Hashable, type_name: str, held: Iterable[tuple[str, object]]) -> StateValue:
        """Return attributes or variables as a value; `whose` is compared with its own value of the last step."""
        making = _ValueBuilder(self)
        items = tuple([ValueItem(name, making.build_value(one, 1)) for name, one in held])
        value = StateValue(type_name, "object", None, items, len(items))
        last = self._named.get(whose)
        if last == value:
            return last
        self._named[whose] = value
        return value

    def find_known(self, found: object) -> _KnownValue | None:
        """Return what this object gave at this step or the one before."""
        known = self._now.get(id(found)) or self._last.get(id(found))
        return known if known is not None and known.found is found else None

    def keep_known(self, known: _KnownValue) -> StateValue:
        """Remember what an object gave, and return the value."""
        self._now[id(known.found)] = known
        return known.value


class _KnownValue(NamedTuple):
    """What an object gave. The object is kept alive so that its id stays unique."""

    found: object
    held: Sequence[object]
    """Everything it held, if it is small enough to compare."""
    look: _ContainerView
    value: StateValue
    is_flat: bool
    """Whether it holds scalars only: then the same items mean that nothing has changed."""
    nodes: int
    """Nodes that it takes of the limit for one value."""


class _ValueBuilder:
    """Builds one value within the limits."""

    def __init__(self, shared: Snapshots) -> None:
        self.shared = shared
        self.left = _NODES
        self.outer: list[int] = []

    def build_value(self, found: object, depth: int) -> StateValue:
        kind = type(found)
        make = _SCALARS.get(kind)
        if make is not None:
            return make(found)
        self.left -= 1
        # Not looked up by equality: that would run the code of its class.
        if id(found) in self.outer:
            return StateValue(kind.__name__, "again")
        if self.left <= 0 or depth >= _DEEP or kind is Opaque:
            return StateValue(found.type_name if isinstance(found, Opaque) else kind.__name__, "opaque")
        self.outer.append(id(found))
        try:
            return self._build_container(found, kind, depth + 1)
        except Exception:  # of a class that will not be looked at
            return StateValue(kind.__name__, "opaque")
        finally:
            self.outer.pop()

    def _build_container(self, found: object, kind: type, depth: int) -> StateValue:
        known = self.shared.find_known(found)
        held = _comparable_parts(found, kind)
        if known is not None and known.is_flat and held and _has_same_parts(known.held, held):
            self.left -= known.nodes
            return self.shared.keep_known(known)
        look = _reuse_keys(known, held) if known is not None and kind is dict and held else None
        look = look or _view_container(found, kind)
        if look is None:
            return _value_of_described(found) if issubclass(kind, _TOLD) else StateValue(kind.__name__, "opaque")
        before = self.left
        self.left -= len(look.parts)
        items = self._build_items(look, known, depth)
        value = StateValue(kind.__name__, look.kind, None, items, look.size)
        if known is not None and known.value == value:
            value = known.value
        is_flat = _SCALARS.keys() >= set(map(type, look.parts))
        return self.shared.keep_known(_KnownValue(found, held, look, value, is_flat, before - self.left))

    def _build_items(self, look: _ContainerView, known: _KnownValue | None, depth: int) -> tuple[ValueItem, ...]:
        """Return the items; those of the step before are reused where the same scalars have the same labels."""
        if known is None or not known.is_flat:
            return tuple(
                [
                    ValueItem(label, self.build_value(part, depth))
                    for label, part in zip(look.labels, look.parts, strict=True)
                ]
            )
        kept = list(known.value.items[: len(look.parts)])
        same: Iterable[bool] = map(operator.is_, known.look.parts, look.parts)
        if known.look.labels[: len(kept)] != look.labels[: len(kept)]:
            same = map(operator.and_, same, map(operator.eq, known.look.labels, look.labels))
        for at in _false_positions(same):
            kept[at] = ValueItem(look.labels[at], self.build_value(look.parts[at], depth))
        more = range(len(kept), len(look.parts))
        return (*kept, *[ValueItem(look.labels[at], self.build_value(look.parts[at], depth)) for at in more])


def _false_positions(found: Iterable[bool]) -> Iterator[int]:
    """Yield the positions of False: there are few of them, because most items are unchanged."""
    flags, at = [*found, False], -1
    while (at := flags.index(False, at + 1)) < len(flags) - 1:
        yield at


def _reuse_keys(known: _KnownValue, held: Sequence[object]) -> _ContainerView | None:
    """Return a view with the labels of the step before, if the dict still has the same keys."""
    size = len(held) // 2
    if len(known.held) == len(held) and all(map(operator.is_, known.held[:size], held)):
        return known.look._replace(parts=held[size:])
    return None


def _comparable_parts(found: Any, kind: type) -> Sequence[object]:
    if kind is dict and len(found) <= _HEAD:
        return [*found, *found.values()]
    return tuple(found) if kind is list and len(found) <= _HEAD else ()


def _has_same_parts(before: Sequence[object], now: Sequence[object]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


class _ContainerView(NamedTuple):
    """The first and the last parts of a container."""

    kind: Kind
    size: int
    parts: Sequence[object]
    labels: Sequence[str]


def _view_container(found: Any, kind: type) -> _ContainerView | None:
    """Return the visible parts of a container or object; None for anything else."""
    for base, look in _LOOKS:
        if issubclass(kind, base):
            return look(found)
    if issubclass(kind, _TOLD) or not (is_from_class_statement(kind) or issubclass(kind, BaseException)):
        return None
    held = [(name, one) for name, one in read_attributes(found) if not name.startswith("__")]
    if issubclass(kind, BaseException):
        held.insert(0, ("args", found.args))
    shown = held[:_HEAD]
    return _ContainerView("object", len(held), [one for _, one in shown], [name for name, _ in shown])


def _view_sequence(found: object, size: int, part: Callable[[int, int], Sequence[object]]) -> _ContainerView:
    """View a sequence. The tail starts at a multiple of _TAIL, so that a growing list moves few items."""
    if size <= _HEAD + 2 * _TAIL:
        return _ContainerView("list", size, part(0, size), _index_labels(0, size))
    tail = (size // _TAIL - 1) * _TAIL
    return _ContainerView("list", size, [*part(0, _HEAD), *part(tail, size)], _HEAD_LABELS + _index_labels(tail, size))


def _index_labels(low: int, high: int) -> list[str]:
    """Return indexes as labels; they are cached, because a growing list needs nearly the same ones at each step."""
    if high > _MOST_INDEXES:
        return [f"[{at}]" for at in range(low, high)]
    if high > len(_INDEXES):
        _INDEXES.extend([f"[{at}]" for at in range(len(_INDEXES), high + 1000)])
    return _INDEXES[low:high]


def _view_list(found: list[object] | tuple[object, ...]) -> _ContainerView:
    base: Any = list if issubclass(type(found), list) else tuple
    return _view_sequence(found, base.__len__(found), lambda low, high: base.__getitem__(found, slice(low, high)))


def _view_deque(found: deque[object]) -> _ContainerView:
    parts = list(islice(deque.__iter__(found), _NODES))
    return _view_sequence(found, deque.__len__(found), lambda low, high: parts[low:high])


def _view_set(found: set[object] | frozenset[object]) -> _ContainerView:
    """View a set in an order that is always the same."""
    base: Any = set if issubclass(type(found), set) else frozenset
    parts = sorted(islice(base.__iter__(found), _NODES), key=_set_sort_key)[: _HEAD + _TAIL]
    return _ContainerView("list", base.__len__(found), parts, _INDEXES[: len(parts)])


def _set_sort_key(value: object) -> tuple[str, object]:
    kind = type(value)
    if kind is int or kind is float or kind is bool:
        return ("", value)
    return (kind.__name__, value if kind is str else "")


def _view_dict(found: dict[object, object]) -> _ContainerView:
    size = dict.__len__(found)
    pairs = list(islice(dict.items(found), _HEAD))
    if size > _HEAD:
        pairs += reversed(list(islice(reversed(dict.items(found)), min(_TAIL, size - _HEAD))))
    return _ContainerView("map", size, [one for _, one in pairs], [_key_label(key) for key, _ in pairs])


def _key_label(key: object) -> str:
    if type(key) is str:
        return str(key[:LONGEST])
    if type(key) is tuple:
        return "(" + ", ".join(_key_label(one) for one in key[:8]) + ")"
    if issubclass(type(key), _TOLD):
        return str(_value_of_described(key).scalar)
    return repr(key)[:LONGEST] if type(key) in _SCALARS else f"<{type(key).__name__}>"


def _value_of_text(found: str) -> StateValue:
    return StateValue("str", "scalar", found[:LONGEST], (), len(found))


def _value_of_bytes(found: bytes) -> StateValue:
    return StateValue("bytes", "opaque", repr(found[:200]) + ("…" if len(found) > 200 else ""), (), len(found))


def _value_of_int(found: int) -> StateValue:
    if -_LARGEST <= found < _LARGEST:
        return StateValue("int", "scalar", found)
    return StateValue(
        "int", "opaque", str(found) if found.bit_length() < 2000 else f"<int of {found.bit_length()} bits>"
    )


def _value_of_float(found: float) -> StateValue:
    if found != found or found in _FLOATS:
        return StateValue("float", "opaque", _FLOATS.get(found, "nan"))
    return StateValue("float", "scalar", found)


_SCALARS: dict[type, Callable[[Any], StateValue]] = {
    bool: lambda found: StateValue("bool", "scalar", found),
    type(None): lambda found: StateValue("NoneType"),
    int: _value_of_int,
    float: _value_of_float,
    str: _value_of_text,
    bytes: _value_of_bytes,
}
_CALLED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_TOLD = (
    enum.Enum, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID,
    PurePath, *_CALLED,
)  # fmt: skip
_INDEXES = [f"[{at}]" for at in range(_HEAD + _TAIL)]
_HEAD_LABELS = _INDEXES[:_HEAD]
_MOST_INDEXES = 100_000
_LOOKS: tuple[tuple[type, Callable[[Any], _ContainerView]], ...] = (
    (list, _view_list),
    (tuple, _view_list),
    (dict, _view_dict),
    (set, _view_set),
    (frozenset, _view_set),
    (deque, _view_deque),
)


def _value_of_described(found: Any) -> StateValue:
    """Show a value as its own text, if that text comes from the standard library."""
    kind: type[Any] = type(found)
    if issubclass(kind, enum.Enum):
        return StateValue(kind.__name__, "scalar", f"{kind.__name__}.{found._name_}")
    if issubclass(kind, _CALLED):
        label = f"<{type(found).__name__} {getattr(found, '__qualname__', '')}>"[:LONGEST]
        return StateValue(type(found).__name__, "opaque", label)
    if kind.__str__ is not _standard_base(kind).__str__:
        return StateValue(kind.__name__, "opaque")
    return StateValue(kind.__name__, "scalar", str(found)[:LONGEST])


def _standard_base(kind: type) -> type:
    """Return the standard library's class that a class is or derives from."""
    return next(one for one in kind.__mro__ if one.__module__.partition(".")[0] in _STANDARD)


_STANDARD = {"datetime", "decimal", "fractions", "uuid", "pathlib"}
