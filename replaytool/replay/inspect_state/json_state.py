"""Turn what a workflow holds into JSON, for plans that people read and for comparisons.

No method of the user's classes is called: objects are read by attributes, and cut at a depth and a size.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
from collections.abc import Iterator, Mapping, Sequence, Set

_DEPTH = 8
_ITEMS = 1000
_SCALARS = (str, int, bool, type(None))
_TOLD = (datetime.datetime, datetime.date, datetime.time)


def workflow_state(workflow: object) -> dict[str, object]:
    """Return the attributes of a workflow object by name, sorted."""
    return {name: to_plain_json(value) for name, value in sorted(_public_attributes(workflow))}


def to_plain_json(value: object, depth: int = 0) -> object:
    """Return a value as JSON; a type that JSON cannot express is named.

    >>> to_plain_json({"at": datetime.date(2026, 1, 31), "left": {3, 1}, "ratio": float("nan"), "lock": object()})
    {'at': '2026-01-31', 'left': [1, 3], 'ratio': 'nan', 'lock': '<object>'}
    """
    if isinstance(value, enum.Enum):
        return to_plain_json(value.value, depth)
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, _TOLD):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if depth >= _DEPTH:
        return f"<{type(value).__name__}>"
    return _container_to_json(value, depth + 1)


def _container_to_json(value: object, depth: int) -> object:
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, Mapping):
        return {_key_to_text(key): to_plain_json(one, depth) for key, one in list(value.items())[:_ITEMS]}
    if isinstance(value, Set):
        found = [to_plain_json(one, depth) for one in value]
        return sorted(found, key=repr)[:_ITEMS]
    if isinstance(value, Sequence):
        return [to_plain_json(one, depth) for one in list(value)[:_ITEMS]]
    held = list(_public_attributes(value)) if not callable(value) else []
    if held and type(value).__module__.partition(".")[0] not in _FOREIGN:
        return {name: to_plain_json(one, depth) for name, one in held[:_ITEMS]}
    return str(value) if type(value).__module__ in _SPOKEN else f"<{type(value).__name__}>"


# Objects of these modules are machinery, not state.
_FOREIGN = {"asyncio", "builtins", "temporalio", "threading", "logging", "_asyncio"}
_SPOKEN = {"uuid", "decimal", "fractions", "pathlib", "zoneinfo"}


def _key_to_text(key: object) -> str:
    found = to_plain_json(key, _DEPTH)
    return found if isinstance(found, str) else str(found)


def _public_attributes(value: object) -> Iterator[tuple[str, object]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [one.name for one in dataclasses.fields(value)]
        yield from ((name, getattr(value, name, None)) for name in names)
        return
    held = getattr(value, "__dict__", None)
    if isinstance(held, dict):
        yield from ((name, one) for name, one in list(held.items()) if isinstance(name, str))
