"""Select a small set of histories that covers what all of them cover; the result is deterministic.

Finding the smallest set is NP-hard (set cover). The greedy choice takes the history that adds most, again and again,
and comes close. A history that adds nothing in the end is dropped.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from replaytool.corpus.source_lines import Thing

Things = frozenset[Thing]


@dataclass(frozen=True, slots=True)
class ChosenHistory:
    """A selected history."""

    key: str
    adds: Things
    """What no earlier choice covers."""


@dataclass(frozen=True, slots=True)
class CorpusSelection:
    """The selected histories, and what they leave out."""

    chosen: tuple[ChosenHistory, ...]
    covered: Things
    lost: Things
    """Covered by some history and by no selected one: only if `most` limits their number."""


def select_histories(
    things: Mapping[str, Things], sizes: Mapping[str, int], most: int | None = None
) -> CorpusSelection:
    """Select histories; ties go to the shortest, then to the first by key."""
    everything = frozenset().union(*things.values())
    order = _choose_greedily(_one_per_feature_set(things, sizes), sizes, most)
    needed = _drop_redundant([(key, things[key]) for key in order])
    chosen, covered = [], set[Thing]()
    for key in needed:
        chosen.append(ChosenHistory(key, things[key] - covered))
        covered |= things[key]
    return CorpusSelection(tuple(chosen), frozenset(covered), everything - covered)


def _one_per_feature_set(things: Mapping[str, Things], sizes: Mapping[str, int]) -> dict[str, Things]:
    """Keep one history per set of features: thousands of histories have a few dozen sets."""
    best: dict[Things, str] = {}
    for key in sorted(things, key=lambda key: (sizes.get(key, 0), key)):
        best.setdefault(things[key], key)
    return {key: found for found, key in best.items()}


def _choose_greedily(things: Mapping[str, Things], sizes: Mapping[str, int], most: int | None) -> list[str]:
    """Choose greedily. Gains only shrink, so a history that is still first after a recount is the best."""
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


def _drop_redundant(chosen: list[tuple[str, Things]]) -> list[str]:
    """Drop a choice that the others together cover."""
    holders = Counter(thing for _, found in chosen for thing in found)
    kept = []
    for key, found in chosen:
        if all(holders[thing] > 1 for thing in found):
            holders.subtract(found)
        else:
            kept.append(key)
    return kept
