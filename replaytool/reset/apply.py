"""Execute a plan: one reset for each item, at a limited rate. It stops if something looks wrong and can be resumed."""

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
from replaytool.engines.temporal.reset.server_calls import ResetClient
from replaytool.errors import FINDINGS, ErrorCode, ReplaytoolError
from replaytool.model.reset_plan import DONE, ItemOutcome, ResetItem, ResetPlan
from replaytool.model.reset_server import Poller, ResetSettings
from replaytool.model.server_options import ServerOptions
from replaytool.reset.apply_item import ItemResetter
from replaytool.reset.ledger_writer import LedgerWriter
from replaytool.reset.lock import hold_apply_lock
from replaytool.store.ledger import Ledger, ledger_path_of

_POLL = 0.2
_AHEAD = 4
"""More items are checked and written to the ledger than calls may be open, so that no call slot waits for the disk."""
_BUNDLE = 2
"""For each call that may be open, this many ledger entries are written at once without waiting for more."""
_ALIVE = timedelta(seconds=70)
"""A worker polls again after a minute at the latest."""


@dataclass(frozen=True, slots=True)
class ApplySettings:
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
    """Builds that may take the reset runs. If empty, all but the bad build may."""
    settle: float = 3.0


@dataclass(slots=True)
class ApplyProgress:
    """How far the apply is. The counts change while it runs."""

    total: int = 0
    before: int = 0
    """Items that an earlier call of the same command finished."""
    states: Counter[str] = field(default_factory=Counter)
    phase: str = "resetting"


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """The result of an apply."""

    tally: ApplyProgress
    outcomes: tuple[ItemOutcome, ...]
    stopped: str | None = None
    """Why it stopped before the last item."""
    interrupted: bool = False

    @property
    def is_clean(self) -> bool:
        """Return whether every item is done."""
        return not self.stopped and not self.interrupted and all(one.state == DONE for one in self.outcomes)


@dataclass(frozen=True, slots=True)
class ApplyPreview:
    """What the user confirms: the server has answered, and nothing is changed yet."""

    server: ResetClient
    items: tuple[ResetItem, ...]
    done_before: int
    pollers: tuple[Poller, ...]
    """Workers of the bad build that polled within the last minute."""


def list_items_to_reset(plan: ResetPlan, how: ResetSettings) -> tuple[ResetItem, ...]:
    """Return the items that an apply resets: those included, and those that a pin makes safe if one is given."""
    return tuple(item for item in plan.items if item.included or (how.pin and item.blocks() <= PIN_SOLVES))


def apply_plan(
    path: Path,
    plan: ResetPlan,
    settings: ApplySettings,
    confirmed: Callable[[ApplyPreview], bool],
    tally: ApplyProgress | None = None,
    stop: threading.Event | None = None,
) -> ApplyResult | None:
    """Apply the plan, or resume it; return None if the user declined. Setting `stop` interrupts it."""
    ledger, tally = Ledger(ledger_path_of(path)), tally or ApplyProgress()
    with hold_apply_lock(ledger.path.with_suffix(".lock")), asyncio.Runner() as runner:
        before = ledger.read_outcomes(plan.plan_id)
        ready = runner.run(_prepare_apply(plan, settings, before))
        tally.total, tally.before = len(ready.items), ready.done_before
        # Asked outside the event loop, because the loop would swallow Ctrl-C.
        if ready.done_before < len(ready.items) and not confirmed(ready):
            return None
        ledger.record_apply(plan, ready.server.target.address, _settings_for_ledger(settings))
        return runner.run(
            _reset_all_items(plan, settings, ledger, ready, before, _ApplyRun(settings, before, tally, stop))
        )


async def _prepare_apply(plan: ResetPlan, settings: ApplySettings, before: dict[str, ItemOutcome]) -> ApplyPreview:
    server = await ResetClient.connect_to_server(settings.server)
    _check_namespace(plan, server.target.namespace)
    items = list_items_to_reset(plan, settings.how)
    left = [item for item in items if item.id not in before or before[item.id].state != DONE]
    return ApplyPreview(server, items, len(items) - len(left), tuple(await find_bad_pollers(server, plan, left)))


async def _reset_all_items(
    plan: ResetPlan,
    settings: ApplySettings,
    ledger: Ledger,
    ready: ApplyPreview,
    before: dict[str, ItemOutcome],
    run: _ApplyRun,
) -> ApplyResult:
    async with LedgerWriter(ledger, plan.plan_id, _BUNDLE * settings.concurrency) as journal:
        pace = _RateLimit(settings.rps)
        gate = asyncio.Semaphore(settings.concurrency)
        how = settings.how
        steps = ItemResetter(
            ready.server, plan, how, journal.write_entry, pace, run.is_going, run.count_failure, gate, settings.settle
        )
        return await run.reset_items(ready.items, steps)


def _check_namespace(plan: ResetPlan, namespace: str) -> None:
    if plan.namespace is not None and plan.namespace != namespace:
        raise ReplaytoolError(
            f"the plan is for namespace {plan.namespace}, not for {namespace}",
            f"add --namespace {plan.namespace}, or use another plan",
            code=ErrorCode.RESET_NAMESPACE,
        )


def _settings_for_ledger(settings: ApplySettings) -> dict[str, object]:
    """Return the settings that the ledger keeps. Credentials are not among them."""
    how = asdict(settings.how)
    return how | {"rps": settings.rps, "canary": settings.canary, "allow": sorted(settings.allow)}


async def find_bad_pollers(server: ResetClient, plan: ResetPlan, items: Iterable[ResetItem]) -> list[Poller]:
    """Return workers of the bad build that would take the reset runs."""
    queues = sorted({item.task_queue for item in items if item.task_queue}) if plan.bad_builds() else []
    now = datetime.now(UTC).replace(tzinfo=None)
    found = [poller for queue in queues for poller in await server.list_pollers(queue)]
    return [one for one in found if one.build_id in plan.bad_builds() and now - one.seen_at < _ALIVE]


class _RateLimit:
    """Limit calls to so many per second, evenly spaced."""

    def __init__(self, rps: float) -> None:
        self._gap = 1 / rps if rps else 0.0
        self._next = 0.0

    async def __call__(self) -> None:
        now = time.monotonic()
        self._next = max(self._next + self._gap, now)
        if self._next > now:
            await asyncio.sleep(self._next - now)


class _ApplyStopped(Exception):
    """No further item is started; the message says why."""


class _ApplyRun:
    """One call of apply: a few items at once, in the plan's order."""

    def __init__(
        self,
        settings: ApplySettings,
        before: dict[str, ItemOutcome],
        tally: ApplyProgress,
        stop: threading.Event | None,
    ) -> None:
        self._settings = settings
        self._stop = stop or threading.Event()
        self._before = before
        self._tally = tally
        self._outcomes: dict[str, ItemOutcome] = {}
        self._failures = 0
        self._why: str | None = None
        self._interrupted = False

    def is_going(self) -> bool:
        """Return whether nothing has stopped it."""
        if self._why is None and self._stop.is_set():
            self._mark_interrupted()
        return self._why is None

    async def reset_items(self, items: tuple[ResetItem, ...], steps: ItemResetter) -> ApplyResult:
        """Reset all items, the canaries first."""
        self._steps = steps
        with _catch_interrupts(self._mark_interrupted):
            canaries = items[: self._settings.canary]
            try:
                if canaries:
                    await self._reset_concurrently(canaries)
                    self._tally.phase = "waiting for the canaries"
                    await self._watch_canaries(canaries)
                    self._tally.phase = "resetting"
                await self._reset_concurrently(items[len(canaries) :])
            except _ApplyStopped as stop:
                self._why = self._why or str(stop)
        outcomes = tuple(self._outcomes[item.id] for item in items if item.id in self._outcomes)
        return ApplyResult(self._tally, outcomes, self._why, self._interrupted)

    def _mark_interrupted(self) -> None:
        self._interrupted = True
        self._why = "interrupted"

    async def _reset_concurrently(self, items: Iterable[ResetItem]) -> None:
        if self._why:
            raise _ApplyStopped(self._why)
        waiting = iter(items)
        workers = [
            asyncio.create_task(self._reset_from_queue(waiting)) for _ in range(_AHEAD * self._settings.concurrency)
        ]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            # Wait for calls that are under way, so that the ledger learns the answers.
            self._why = self._why or "stopped"
            await asyncio.wait(workers, timeout=5)
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise
        if self._why:
            raise _ApplyStopped(self._why)

    async def _reset_from_queue(self, waiting: Iterator[ResetItem]) -> None:
        for item in waiting:
            if not self.is_going():
                return
            outcome = await self._steps.reset_item(item, self._before.get(item.id))
            self._outcomes[item.id] = outcome
            self._tally.states[outcome.state] += 1

    def count_failure(self) -> None:
        """Count a failure. Too many of them stop the apply."""
        self._failures += 1
        if self._failures >= self._settings.max_failures:
            self._why = f"{self._failures} items failed, which is the limit of --max-failures"

    async def _watch_canaries(self, canaries: tuple[ResetItem, ...]) -> None:
        """Wait until an allowed build has completed the next task of each canary."""
        end = time.monotonic() + self._settings.canary_timeout
        for item in canaries:
            outcome = self._outcomes.get(item.id)
            if outcome is None or outcome.new_run_id is None:
                raise _ApplyStopped(
                    f"canary {item.workflow_id} was not reset: {outcome.message if outcome else 'stopped'}"
                )
            while (trouble := await self._check_canary(item, outcome.new_run_id)) is not None:
                if trouble:
                    raise _ApplyStopped(f"canary {item.workflow_id}: {trouble}")
                if not self.is_going():
                    raise _ApplyStopped(str(self._why))
                if time.monotonic() > end:
                    raise _ApplyStopped(
                        f"canary {item.workflow_id}: no worker completed its next task within "
                        f"{self._settings.canary_timeout:.0f} seconds"
                    )
                await asyncio.sleep(_POLL)

    async def _check_canary(self, item: ResetItem, new_run: str) -> str | None:
        """Return what is wrong, "" if that is not known yet, None if all is well."""
        steps = self._steps
        task = find_first_task(await steps.server.fetch_events(item.workflow_id, new_run), item.point.event_id)
        if task is None or task.outcome == "TimedOut":
            return ""
        return task.describe_problem(steps.plan.bad_builds(), self._settings.allow)


@contextlib.contextmanager
def _catch_interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C finish what is under way. The second one is Python's own."""
    loop = asyncio.get_running_loop()

    def on_first_interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        stop()

    try:
        loop.add_signal_handler(signal.SIGINT, on_first_interrupt)
    except (NotImplementedError, RuntimeError, ValueError):
        yield  # Windows, or not the main thread: Ctrl-C cancels open calls, and the ledger records that
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def refuse_outdated_plan(plan: ResetPlan, known: dict[str, int]) -> None:
    """Refuse a plan that is older than the loaded histories; `known` has their lengths by run key."""
    grown = [item for item in plan.items if known.get(item.run_key, 0) > item.events]
    if grown:
        first = grown[0]
        raise ReplaytoolError(
            f"the plan is older than the histories of {len(grown)} of its workflows: {first.workflow_id} has "
            f"{first.events} events in the plan and {known[first.run_key]} in the store",
            "make a new plan with `replaytool reset plan`",
            FINDINGS,
            code=ErrorCode.RESET_PLAN_STALE,
        )
