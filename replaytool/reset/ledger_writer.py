"""The ledger beside the event loop: entries of all that goes on at once are written together.

A thread writes, one bundle at a time: an entry is safe only when the disk says so, and calls to the server go on
meanwhile. What comes while a bundle is being written is the next bundle.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from replaytool.model.reset_plan import Outcome
from replaytool.store.ledger import Ledger

_TOGETHER = 0.05
"""A transaction costs much more than an entry: for so long others may join, unless enough are there before."""
_IDLE = 0.5
_HOLD = 4.0
_GAP = 0.03
"""After some seconds of holding the file it is let go for so long, for whoever waits to read."""


class Journal:
    """Writes entries; each is safe when `write` returns."""

    def __init__(self, ledger: Ledger, plan_id: str, enough: int = 1) -> None:
        self._ledger = ledger
        self._plan_id = plan_id
        self._enough = enough
        self._full = asyncio.Event()
        self._waiting: list[tuple[Outcome, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._held_since: float | None = None
        self._thread = ThreadPoolExecutor(1, "replaytool-ledger")

    async def __aenter__(self) -> Journal:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)
        self._release()
        self._thread.shutdown()

    async def write(self, entry: Outcome) -> None:
        """Return when the entry would survive the end of this process."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append((entry, written))
        if len(self._waiting) >= self._enough:
            self._full.set()
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        """Bundle by bundle, until nothing waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await self._gathered()
                bundle, self._waiting = self._waiting, []
                self._full.clear()
                self._held_since = self._held_since or time.monotonic()
                failure = await loop.run_in_executor(self._thread, self._written, [entry for entry, _ in bundle])
                for _, written in bundle:
                    _tell(written, failure)
        finally:
            self._writing = None
            self._await_more(loop)

    def _written(self, entries: list[Outcome]) -> Exception | None:
        try:
            self._ledger.write(self._plan_id, entries)
        except Exception as error:
            return error
        return None

    async def _gathered(self) -> None:
        """Return when a bundle is worth writing."""
        if self._held_since is not None and time.monotonic() - self._held_since > _HOLD:
            self._release()
            await asyncio.sleep(_GAP)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOGETHER):
                await self._full.wait()

    def _await_more(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = loop.call_later(_IDLE, self._release_if_idle)

    def _release_if_idle(self) -> None:
        if self._writing is None:
            self._release()

    def _release(self) -> None:
        """Only ever between two bundles."""
        if self._idle is not None:
            self._idle.cancel()
        self._held_since = None
        self._ledger.release()


def _tell(written: asyncio.Future[None], failure: Exception | None) -> None:
    if written.done():
        return
    if failure is None:
        written.set_result(None)
    else:
        written.set_exception(failure)
