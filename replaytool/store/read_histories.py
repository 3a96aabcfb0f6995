"""Whole histories for those who replay many of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping

from replaytool.store import Store

_PIECE = 32 * 1024 * 1024


class Histories:
    """Histories fetched many at a time, in the order in which the pool asks for them: the longest first."""

    def __init__(self, store: Store, sizes: Mapping[str, int]) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._held: dict[str, bytes] = {}
        self._pieces = deque(_pieces(sizes))

    def take(self, key: str) -> bytes:
        """The history of a run; who asks for it again has it fetched again."""
        with self._lock:
            while key not in self._held and self._pieces:
                self._held |= self._store.histories(self._pieces.popleft())
            found = self._held.pop(key, None)
        return found if found is not None else self._store.histories([key])[key]


def _pieces(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    piece: list[str] = []
    size = 0
    for key in sorted(sizes, key=lambda one: -sizes[one]):
        piece.append(key)
        size += sizes[key]
        if size > _PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
