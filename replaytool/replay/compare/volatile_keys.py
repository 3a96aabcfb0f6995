"""Compare mappings whose keys hold ids that libraries make anew at each replay, such as `desk:8c68d824-…`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

KEY = " (key)"
"""Stands behind the path of a key, as opposed to the path of its value."""
_MADE_BY_CHANCE = re.compile(r"[0-9a-fA-F]{4,}|\d+")


def rename_keys(value: object, model: object, accept: Callable[[str, str], bool], path: str = "") -> object:
    """Return the value with keys made by chance named as in the model, if `accept` agrees to path and old key."""
    if isinstance(value, list) and isinstance(model, list):
        same = enumerate(zip(value, model, strict=False))
        renamed = [rename_keys(one, other, accept, f"{path}[{place}]") for place, (one, other) in same]
        return renamed + value[len(renamed) :]
    if not isinstance(value, dict) or not isinstance(model, dict):
        return value
    pairs = _pair_keys(value, model) if value.keys() != model.keys() else {}
    found = {}
    for key, one in value.items():
        name = pairs.get(key, key)
        below = f"{path}.{name}"
        if name != key and not accept(below, key):
            name = key
        found[name] = rename_keys(one, model[name], accept, below) if name in model else one
    return found


def _pair_keys(value: Mapping[str, object], model: Mapping[str, object]) -> dict[str, str]:
    """Pair the keys that only one side has, if they differ in nothing but digits of identifiers."""
    ours, theirs = (
        sorted((_MADE_BY_CHANCE.sub("#", key), place, key) for place, key in enumerate(one) if key not in other)
        for one, other in ((value, model), (model, value))
    )
    if [shape for shape, *_ in ours] != [shape for shape, *_ in theirs]:
        return {}
    return {key: name for (*_, key), (*_, name) in zip(ours, theirs, strict=True)}
