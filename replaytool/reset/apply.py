"""Executing a plan: one reset for each item, at a bounded rate, stopped by what looks wrong, resumable anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from replaytool.engines.temporal.reset.first_task import find_first_task
from replaytool.engines.temporal.reset.hazards import PIN_SOLVES
from replaytool.engines.temporal.reset.server_calls import Poller, ResetClient, ResetSettings
from replaytool.engines.temporal.server.options import ServerOptions
from replaytool.errors import FINDINGS, ReplaytoolError
from replaytool.model.reset_plan import DONE, Outcome, ResetItem, ResetPlan
from replaytool.reset.apply_item import Steps
from replaytool.reset.ledger_writer import Journal
from replaytool.reset.lock import held
from replaytool.store.ledger import Ledger, beside

_POLL = 0.2
_AHEAD = 4
"""While so many calls are under way as are allowed, more items are looked at and written down: no slot waits."""
_BUNDLE = 2
"""Entries, for each call that may be under way, that are written at once without waiting for more."""
_ALIVE = timedelta(seconds=70)
"""A worker asks again after a minute at the latest."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to apply."""

    server: ServerOptions = field(default_factory=ServerOptions)
    how: ResetSettings = field(default_factory=ResetSettings)
    rps: float = 10.0
    """Resets per second; 0 sets no limit."""
    concurrency: int = 10
    canary: int = 0
    canary_timeout: float = 300.0
    max_failures: int = 10
    allow: frozenset[str] = frozenset()
    """Builds that may take the reset runs; any but the bad one where none are named."""
    settle: float = 3.0


@dataclass(slots=True)
class Tally:
    """How far it is; it changes while the apply runs, for whoever watches."""

    total: int = 0
    before: int = 0
    """Done by an earlier call of the same command."""
    states: Counter[str] = field(default_factory=Counter)
    phase: str = "resetting"


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of it."""

    tally: Tally
    outcomes: tuple[Outcome, ...]
    stopped: str | None = None
    """Why it ended before the last item."""
    interrupted: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether every item is done."""
        return not self.stopped and not self.interrupted and all(one.state == DONE for one in self.outcomes)


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that answered, before anything was changed: what a person confirms."""

    server: ResetClient
    items: tuple[ResetItem, ...]
    done_before: int
    pollers: tuple[Poller, ...]
    """Workers of the bad build that were seen a moment ago."""


def taken(plan: ResetPlan, how: ResetSettings) -> tuple[ResetItem, ...]:
    """The items that an apply resets: those in the plan, and those that only a pin kept out, where there is one."""
    return tuple(item for item in plan.items if item.included or (how.pin and item.blocks() <= PIN_SOLVES))


def apply(
    path: Path,
    plan: ResetPlan,
    settings: Settings,
    confirmed: Callable[[Ready], bool],
    tally: Tally | None = None,
    stop: threading.Event | None = None,
) -> Applied | None:
    """Apply the plan, or go on with it; nothing where the person said no. Whoever sets `stop` interrupts it."""
    ledger, tally = Ledger(beside(path)), tally or Tally()
    with held(ledger.path.with_suffix(".lock")), asyncio.Runner() as runner:
        before = ledger.outcomes(plan.id)
        ready = runner.run(_ready(plan, settings, before))
        tally.total, tally.before = len(ready.items), ready.done_before
        # Asked outside of the event loop, which would keep Ctrl-C to itself.
        if ready.done_before < len(ready.items) and not confirmed(ready):
            return None
        ledger.begin(plan, ready.server.target.address, _told(settings))
        return runner.run(_applied(plan, settings, ledger, ready, before, _Run(settings, before, tally, stop)))


async def _ready(plan: ResetPlan, settings: Settings, before: dict[str, Outcome]) -> Ready:
    server = await ResetClient.connect_to_server(settings.server)
    _check_namespace(plan, server.target.namespace)
    items = taken(plan, settings.how)
    left = [item for item in items if item.id not in before or before[item.id].state != DONE]
    return Ready(server, items, len(items) - len(left), tuple(await bad_pollers(server, plan, left)))


async def _applied(
    plan: ResetPlan, settings: Settings, ledger: Ledger, ready: Ready, before: dict[str, Outcome], run: _Run
) -> Applied:
    async with Journal(ledger, plan.id, _BUNDLE * settings.concurrency) as journal:
        pace = _Pace(settings.rps)
        gate = asyncio.Semaphore(settings.concurrency)
        how = settings.how
        steps = Steps(
            ready.server, plan, how, journal.write, pace, run.is_going, run.count_failure, gate, settings.settle
        )
        return await run.through(ready.items, steps)


def _check_namespace(plan: ResetPlan, namespace: str) -> None:
    if plan.namespace is not None and plan.namespace != namespace:
        raise ReplaytoolError(
            f"the plan is for namespace {plan.namespace}, and this is {namespace}",
            f"give --namespace {plan.namespace}, or another plan",
        )


def _told(settings: Settings) -> dict[str, object]:
    """How it is applied, for the ledger: nothing about access."""
    how = asdict(settings.how)
    return how | {"rps": settings.rps, "canary": settings.canary, "allow": sorted(settings.allow)}


async def bad_pollers(server: ResetClient, plan: ResetPlan, items: Iterable[ResetItem]) -> list[Poller]:
    """Workers of the bad build that would take the reset runs."""
    queues = sorted({item.task_queue for item in items if item.task_queue}) if plan.bad_builds() else []
    now = datetime.now(UTC).replace(tzinfo=None)
    found = [poller for queue in queues for poller in await server.list_pollers(queue)]
    return [one for one in found if one.build_id in plan.bad_builds() and now - one.seen_at < _ALIVE]


class _Pace:
    """At most so many calls per second, evenly."""

    def __init__(self, rps: float) -> None:
        self._gap = 1 / rps if rps else 0.0
        self._next = 0.0

    async def __call__(self) -> None:
        now = time.monotonic()
        self._next = max(self._next + self._gap, now)
        if self._next > now:
            await asyncio.sleep(self._next - now)


class _Stop(Exception):
    """No further item is begun, and why."""


class _Run:
    """One call of apply: a few items at once, in the plan's order."""

    def __init__(
        self, settings: Settings, before: dict[str, Outcome], tally: Tally, stop: threading.Event | None
    ) -> None:
        self._settings = settings
        self._stop = stop or threading.Event()
        self._before = before
        self._tally = tally
        self._outcomes: dict[str, Outcome] = {}
        self._failures = 0
        self._why: str | None = None
        self._interrupted = False

    def is_going(self) -> bool:
        """Whether nothing has stopped it."""
        if self._why is None and self._stop.is_set():
            self._interrupt()
        return self._why is None

    async def through(self, items: tuple[ResetItem, ...], steps: Steps) -> Applied:
        """All items; the canaries first, where there are any."""
        self._steps = steps
        with _interrupts(self._interrupt):
            canaries = items[: self._settings.canary]
            try:
                if canaries:
                    await self._some(canaries)
                    self._tally.phase = "waiting for the canaries"
                    await self._watch(canaries)
                    self._tally.phase = "resetting"
                await self._some(items[len(canaries) :])
            except _Stop as stop:
                self._why = self._why or str(stop)
        outcomes = tuple(self._outcomes[item.id] for item in items if item.id in self._outcomes)
        return Applied(self._tally, outcomes, self._why, self._interrupted)

    def _interrupt(self) -> None:
        self._interrupted = True
        self._why = "interrupted"

    async def _some(self, items: Iterable[ResetItem]) -> None:
        if self._why:
            raise _Stop(self._why)
        waiting = iter(items)
        workers = [asyncio.create_task(self._worker(waiting)) for _ in range(_AHEAD * self._settings.concurrency)]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            # What was asked of the server is waited for, so that the ledger knows the answer.
            self._why = self._why or "stopped"
            await asyncio.wait(workers, timeout=5)
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise
        if self._why:
            raise _Stop(self._why)

    async def _worker(self, waiting: Iterator[ResetItem]) -> None:
        for item in waiting:
            if not self.is_going():
                return
            outcome = await self._steps.take(item, self._before.get(item.id))
            self._outcomes[item.id] = outcome
            self._tally.states[outcome.state] += 1

    def count_failure(self) -> None:
        """One more; too many of them stop it."""
        self._failures += 1
        if self._failures >= self._settings.max_failures:
            self._why = f"{self._failures} items failed, which is as many as --max-failures lets pass"

    async def _watch(self, canaries: tuple[ResetItem, ...]) -> None:
        """Wait until each canary's next task succeeded on a build that may have it."""
        end = time.monotonic() + self._settings.canary_timeout
        for item in canaries:
            outcome = self._outcomes.get(item.id)
            if outcome is None or outcome.new_run_id is None:
                raise _Stop(f"canary {item.workflow_id} was not reset: {outcome.message if outcome else 'stopped'}")
            while (trouble := await self._trouble(item, outcome.new_run_id)) is not None:
                if trouble:
                    raise _Stop(f"canary {item.workflow_id}: {trouble}")
                if not self.is_going():
                    raise _Stop(str(self._why))
                if time.monotonic() > end:
                    raise _Stop(
                        f"canary {item.workflow_id}: no worker completed its next task within "
                        f"{self._settings.canary_timeout:.0f} seconds"
                    )
                await asyncio.sleep(_POLL)

    async def _trouble(self, item: ResetItem, new_run: str) -> str | None:
        """What is wrong; empty as long as nobody knows; nothing where all is well."""
        steps = self._steps
        task = find_first_task(await steps.server.fetch_events(item.workflow_id, new_run), item.point.event_id)
        if task is None or task.outcome == "TimedOut":
            return ""
        return task.describe_problem(steps.plan.bad_builds(), self._settings.allow)


@contextlib.contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C lets what is under way finish; the second is Python's own."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        stop()

    try:
        loop.add_signal_handler(signal.SIGINT, first)
    except (NotImplementedError, RuntimeError, ValueError):
        yield  # Windows, or not the main thread: Ctrl-C cancels what is under way, and the ledger says so
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def check_age(plan: ResetPlan, known: dict[str, int]) -> None:
    """Refuse a plan that is older than the loaded histories of its runs; `known` has their lengths by run key."""
    grown = [item for item in plan.items if known.get(item.run_key, 0) > item.events]
    if grown:
        first = grown[0]
        raise ReplaytoolError(
            f"the plan is older than the histories of {len(grown)} of its workflows: {first.workflow_id} had "
            f"{first.events} events, and has {known[first.run_key]} in the store",
            "plan again with `replaytool reset plan`",
            FINDINGS,
        )
