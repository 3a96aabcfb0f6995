"""Whole histories for callers that replay many of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping

from replaytool.store import Store

_PIECE = 32 * 1024 * 1024


class HistoryReader:
    """Histories fetched many at a time, longest first: the order in which the pool asks for them."""

    def __init__(self, store: Store, sizes: Mapping[str, int]) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._held: dict[str, bytes] = {}
        self._pieces = deque(_split_by_size(sizes))

    def take_history(self, key: str) -> bytes:
        """Return the history of a run. A second request fetches it again."""
        with self._lock:
            while key not in self._held and self._pieces:
                self._held |= self._store.read_histories(self._pieces.popleft())
            found = self._held.pop(key, None)
        return found if found is not None else self._store.read_histories([key])[key]


def _split_by_size(sizes: Mapping[str, int]) -> Iterator[list[str]]:
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
