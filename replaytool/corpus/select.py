"""The smallest set of histories that covers what all of them cover, found greedily, and always the same one.

To find the very smallest is hard in the sense of mathematicians; taking again and again the history that adds most
comes near it. What two chosen ones have both is given to the first, and a history that adds nothing in the end goes.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from replaytool.corpus.source_lines import Thing

Things = frozenset[Thing]


@dataclass(frozen=True, slots=True)
class Choice:
    """A history that is worth keeping."""

    key: str
    adds: Things
    """What none of those chosen before covers."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was chosen, and what that leaves out."""

    chosen: tuple[Choice, ...]
    covered: Things
    lost: Things
    """Covered by some history and by none of the chosen: only where their number was bounded."""


def select(things: Mapping[str, Things], sizes: Mapping[str, int], most: int | None = None) -> Selection:
    """Choose; of those that add as much as each other the shortest, and of those the first by its key."""
    everything = frozenset().union(*things.values())
    order = _greedy(_representatives(things, sizes), sizes, most)
    needed = _without_idle([(key, things[key]) for key in order])
    chosen, covered = [], set[Thing]()
    for key in needed:
        chosen.append(Choice(key, things[key] - covered))
        covered |= things[key]
    return Selection(tuple(chosen), frozenset(covered), everything - covered)


def _representatives(things: Mapping[str, Things], sizes: Mapping[str, int]) -> dict[str, Things]:
    """One history for each set of things: of many thousands there are a few dozen kinds."""
    best: dict[Things, str] = {}
    for key in sorted(things, key=lambda key: (sizes.get(key, 0), key)):
        best.setdefault(things[key], key)
    return {key: found for found, key in best.items()}


def _greedy(things: Mapping[str, Things], sizes: Mapping[str, int], most: int | None) -> list[str]:
    """What a history adds only ever shrinks, so one that is still at the top after counting again is the best."""
    heap = [(-len(found), sizes.get(key, 0), key) for key, found in things.items()]
    heapq.heapify(heap)
    order: list[str] = []
    covered: set[Thing] = set()
    while heap and (most is None or len(order) < most):
        _, size, key = heapq.heappop(heap)
        gain = len(things[key] - covered)
        if not gain:
            continue
        now = (-gain, size, key)
        if heap and heap[0] < now:
            heapq.heappush(heap, now)
            continue
        order.append(key)
        covered |= things[key]
    return order


def _without_idle(chosen: list[tuple[str, Things]]) -> list[str]:
    """An early choice can be covered by the later ones together; the last ones are looked at last."""
    holders = Counter(thing for _, found in chosen for thing in found)
    kept = []
    for key, found in chosen:
        if all(holders[thing] > 1 for thing in found):
            holders.subtract(found)
        else:
            kept.append(key)
    return kept
