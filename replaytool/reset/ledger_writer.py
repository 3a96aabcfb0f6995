"""Write ledger entries outside the event loop, many in one transaction.

A thread writes one bundle at a time, because an entry is safe only when the disk says so. Calls to the server go on
meanwhile. Entries that arrive while a bundle is written form the next bundle.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from replaytool.model.reset_plan import ItemOutcome
from replaytool.store.ledger import Ledger

_TOGETHER = 0.05
"""Seconds to wait for more entries, since a transaction costs much more than an entry."""
_IDLE = 0.5
_HOLD = 4.0
_GAP = 0.03
"""Seconds for which the file is released now and then, so that others can read it."""


class LedgerWriter:
    """Writes entries. Each is on disk when `write_entry` returns."""

    def __init__(self, ledger: Ledger, plan_id: str, enough: int = 1) -> None:
        self._ledger = ledger
        self._plan_id = plan_id
        self._enough = enough
        self._full = asyncio.Event()
        self._waiting: list[tuple[ItemOutcome, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._held_since: float | None = None
        self._thread = ThreadPoolExecutor(1, "replaytool-ledger")

    async def __aenter__(self) -> LedgerWriter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)
        self._release_ledger()
        self._thread.shutdown()

    async def write_entry(self, entry: ItemOutcome) -> None:
        """Return when the entry would survive the end of this process."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append((entry, written))
        if len(self._waiting) >= self._enough:
            self._full.set()
        if self._writing is None:
            self._writing = loop.create_task(self._write_bundles())
        await written

    async def _write_bundles(self) -> None:
        """Write bundles until no entry waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await self._wait_for_bundle()
                bundle, self._waiting = self._waiting, []
                self._full.clear()
                self._held_since = self._held_since or time.monotonic()
                failure = await loop.run_in_executor(self._thread, self._write_bundle, [entry for entry, _ in bundle])
                for _, written in bundle:
                    _resolve_future(written, failure)
        finally:
            self._writing = None
            self._schedule_release(loop)

    def _write_bundle(self, entries: list[ItemOutcome]) -> Exception | None:
        try:
            self._ledger.write_entries(self._plan_id, entries)
        except Exception as error:
            return error
        return None

    async def _wait_for_bundle(self) -> None:
        """Return when a bundle is worth writing."""
        if self._held_since is not None and time.monotonic() - self._held_since > _HOLD:
            self._release_ledger()
            await asyncio.sleep(_GAP)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOGETHER):
                await self._full.wait()

    def _schedule_release(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = loop.call_later(_IDLE, self._release_if_idle)

    def _release_if_idle(self) -> None:
        if self._writing is None:
            self._release_ledger()

    def _release_ledger(self) -> None:
        """Release the file. Call it only between two bundles."""
        if self._idle is not None:
            self._idle.cancel()
        self._held_since = None
        self._ledger.release_file()


def _resolve_future(written: asyncio.Future[None], failure: Exception | None) -> None:
    if written.done():
        return
    if failure is None:
        written.set_result(None)
    else:
        written.set_exception(failure)
