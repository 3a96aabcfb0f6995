"""Delta debugging: find a minimal part of many items that is enough, by trying parts and their complements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def find_fewest(items: Sequence[T], enough: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return items that are enough, of which none can be taken out.

    All of them together must be enough.

    >>> find_fewest(range(20), lambda some: {3, 17} <= set(some))
    [3, 17]
    """
    if enough([]):
        return []
    kept, parts = list(items), 2
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        pieces = [kept[at : at + size] for at in range(0, len(kept), size)]
        complements = [[one for one in kept if one not in piece] for piece in pieces] if parts > 2 else []
        smaller = next((some for some in (*pieces, *complements) if enough(some)), None)
        if smaller is not None:
            parts = 2 if smaller in pieces else max(parts - 1, 2)
            kept = smaller
        elif parts >= len(kept):
            return kept
        else:
            parts = min(len(kept), 2 * parts)
    return kept
