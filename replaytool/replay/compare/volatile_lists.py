"""Compare lists that hold values which differ between replays of the same code, such as a list made from a set of ids.

The order of a set depends on its members, so that a random member moves the others too. What stays in all replays must
stand in the record, and in the same order unless the replays show that the order varies.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StableMembers:
    """What all replays have in one list, as JSON."""

    counted: Counter[str]
    order: tuple[str, ...] | None
    """None if the order differs between replays."""
    size: int | None
    """The number of all members; None if it differs between replays."""

    def fit(self, recorded: Sequence[object]) -> bool:
        """Return whether the record has as many members, and these among them."""
        kept = _keep_members(recorded, self.counted)
        same_order = self.order is None or kept == self.order
        same_size = self.size is None or len(recorded) == self.size
        return same_size and Counter(kept) == self.counted and same_order


def find_volatile_lists(values: Sequence[Any], path: str = "") -> Iterator[tuple[str, StableMembers]]:
    """Yield the path of each list of plain members that the replays do not agree on; `values` has one from each.

    A list with mappings or lists among its members, such as an activity's arguments, is compared member by member.
    """
    first = values[0]
    if all(isinstance(one, dict) for one in values):
        for key in first:
            if all(key in one for one in values):
                yield from find_volatile_lists([one[key] for one in values], f"{path}.{key}")
    elif all(isinstance(one, list) for one in values) and any(one != first for one in values):
        if not any(isinstance(member, dict | list) for one in values for member in one):
            yield path, _find_stable_members(values)
        elif all(len(one) == len(first) for one in values):
            for place in range(len(first)):
                yield from find_volatile_lists([one[place] for one in values], f"{path}[{place}]")


def _find_stable_members(values: Sequence[Sequence[object]]) -> StableMembers:
    counted = Counter(map(_write_member, values[0]))
    for one in values[1:]:
        counted &= Counter(map(_write_member, one))
    orders = {_keep_members(one, counted) for one in values}
    sizes = {len(one) for one in values}
    return StableMembers(counted, orders.pop() if len(orders) == 1 else None, sizes.pop() if len(sizes) == 1 else None)


def _keep_members(members: Sequence[object], counted: Counter[str]) -> tuple[str, ...]:
    return tuple(one for one in map(_write_member, members) if one in counted)


def _write_member(member: object) -> str:
    return json.dumps(member, sort_keys=True, default=str)


def settle_volatile_lists(
    before: Any, after: Any, lists: Mapping[str, StableMembers], path: str = ""
) -> tuple[Any, Any, list[tuple[str, object, object]]]:
    """Return both values without these lists, and the lists whose stable members differ, with their paths."""
    if path in lists and isinstance(before, list) and isinstance(after, list):
        return None, None, [] if lists[path].fit(before) else [(path, before, after)]
    found: list[tuple[str, object, object]] = []
    steps: list[tuple[Any, str]] = []
    if isinstance(before, dict) and isinstance(after, dict):
        before, after = dict(before), dict(after)
        steps = [(key, f"{path}.{key}") for key in before if key in after]
    elif isinstance(before, list) and isinstance(after, list):
        before, after = list(before), list(after)
        steps = [(place, f"{path}[{place}]") for place in range(min(len(before), len(after)))]
    for step, below in steps:
        before[step], after[step], more = settle_volatile_lists(before[step], after[step], lists, below)
        found += more
    return before, after, found
