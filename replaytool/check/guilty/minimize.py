"""Find the fewest elements with a property, by trying subsets."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def minimize_subset(whole: Sequence[int], holds: Callable[[frozenset[int]], bool]) -> list[int]:
    """Return a subset for which `holds` is true and from which nothing can be left out (delta debugging).

    >>> minimize_subset(range(8), lambda kept: {2, 5} <= kept)
    [2, 5]
    """
    kept, parts = list(whole), 2
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        pieces = [kept[at : at + size] for at in range(0, len(kept), size)]
        rests = [[one for one in kept if one not in piece] for piece in pieces] if len(pieces) > 2 else []
        smaller = next((one for one in (*pieces, *rests) if one and holds(frozenset(one))), None)
        if smaller is not None:
            parts = 2 if len(smaller) <= size else max(len(pieces) - 1, 2)
            kept = smaller
        elif size == 1:
            break
        else:
            parts = min(parts * 2, len(kept))
    return kept
