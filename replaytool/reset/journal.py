"""The ledger beside the event loop: entries of all that goes on at once are written together.

Not in a thread: the file is written in about a millisecond, and two threads that take turns for the interpreter would
wait for each other many times as long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType

from replaytool.plan import Outcome
from replaytool.store.ledger import Ledger

_TOGETHER = 0.015
_IDLE = 0.5
_HOLD = 4.0
_GAP = 0.03
"""After some seconds of holding the file it is let go for so long, for whoever waits to read."""


class Journal:
    """Writes entries; each is safe when `write` returns."""

    def __init__(self, ledger: Ledger, plan_id: str) -> None:
        self._ledger = ledger
        self._plan_id = plan_id
        self._waiting: list[tuple[Outcome, asyncio.Future[None]]] = []
        self._next: asyncio.TimerHandle | None = None
        self._held_since: float | None = None

    async def __aenter__(self) -> Journal:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._next is not None:
            self._next.cancel()
        self._flush()
        self._release()

    async def write(self, entry: Outcome) -> None:
        """Return when the entry would survive the end of this process."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            self._schedule(loop, self._pause(), self._flush)
        self._waiting.append((entry, written))
        await written

    def _pause(self) -> float:
        if self._held_since is not None and time.monotonic() - self._held_since > _HOLD:
            self._release()
            return _GAP
        return _TOGETHER

    def _schedule(self, loop: asyncio.AbstractEventLoop, delay: float, what: Callable[[], None]) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = loop.call_later(delay, what)

    def _flush(self) -> None:
        bundle, self._waiting = self._waiting, []
        if not bundle:
            return
        failure: BaseException | None = None
        try:
            self._held_since = self._held_since or time.monotonic()
            self._ledger.write(self._plan_id, [entry for entry, _ in bundle])
        except Exception as error:
            failure = error
        for _, written in bundle:
            if written.done():
                continue
            if failure is None:
                written.set_result(None)
            else:
                written.set_exception(failure)
        self._schedule(asyncio.get_running_loop(), _IDLE, self._release)

    def _release(self) -> None:
        self._held_since = None
        self._ledger.release()
