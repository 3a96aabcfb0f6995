"""How fast the screens are: `python -m benchmarks.tui`, which prints a table and fails where a bound is missed."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from benchmarks import replayable_histories as replayable
from benchmarks import synthetic_histories as histories
from replaytool import config, ingest
from replaytool.session import Session
from replaytool.tui.app import ReplayApp
from replaytool.tui.debugger.screen import DebuggerScreen
from replaytool.tui.screens.runs import RunsScreen
from replaytool.tui.widgets.table import DataGrid

_STEPS = 7_385  # of benchmarks.synthetic_histories: about 50,000 events
_CODED = 8_300  # of benchmarks.replayable_histories: about 50,000 events
_RUNS = 100_000
_WALK = 60


@dataclass(frozen=True)
class Measured:
    """One line of the table."""

    what: str
    value: float
    bound: float
    unit: str

    @property
    def row(self) -> str:
        """Aligned for reading."""
        met = "ok" if self.value < self.bound else "TOO SLOW"
        return f"{self.what:44} {self.value:9.1f} {self.unit:3} < {self.bound:6.0f} {self.unit:3} {met}"


def main() -> int:
    """Measure everything."""
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder)
        found = [
            *asyncio.run(_long_run(folder)),
            *asyncio.run(_with_code(folder)),
            *asyncio.run(_many_runs(folder)),
        ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found.append(Measured("memory of the whole process", peak, 500, "MB"))
    print("\n".join(one.row for one in found))
    return int(any(one.value >= one.bound for one in found))


async def _long_run(folder: Path) -> list[Measured]:
    file = folder / "long.json"
    file.write_text(histories.history(1, histories.Shape(_STEPS)))
    session = Session(config.Settings(store=folder / "long.duckdb"))
    session.load_paths([str(file)], None, ingest.LoadObserver())
    app = ReplayApp(session)
    async with app.run_test(size=(140, 40)) as pilot:
        await _until(lambda: isinstance(app.screen, RunsScreen) and app.screen.query_one(DataGrid).count == 1)
        started = time.perf_counter()
        app.simulate_key("enter")
        await _until(lambda: isinstance(app.screen, DebuggerScreen) and app.screen.is_mounted and _painted(app.screen))
        paint = time.perf_counter() - started
        screen: Any = app.screen
        await _until(lambda: screen.timeline is not None)
        ready = time.perf_counter() - started
        await pilot.pause(0.3)
        events = f"{len(screen.opened.events):,} events"
        walks = []
        for what, key, place in (("forwards", "n", 25_000), ("backwards", "N", 25_000), ("task forwards", "s", 30_000)):
            screen.stop_at_index(place)
            await pilot.pause(0.2)
            walks.append(Measured(f"{events}: step {what}, CPU", await _walk(pilot.press, key), 50, "ms"))
        screen.stop_at_index(25_000)
        jump = await _cpu(lambda: pilot.press("G", "enter"))
    return [
        Measured(f"{events}: first paint from the key press", paint * 1000, 500, "ms"),
        Measured(f"{events}: names and states too", ready * 1000, 2000, "ms"),
        *walks,
        Measured(f"{events}: to the last, CPU", jump, 200, "ms"),
    ]


async def _with_code(folder: Path) -> list[Measured]:
    """The same with the replayed side: the child has recorded the states, and is asked for one at each step."""
    file, code = folder / "coded.json", folder / "workflows.py"
    file.write_text(replayable.history("Steps", _CODED))
    code.write_text(replayable.WORKFLOWS)
    session = Session(config.Settings(store=folder / "coded.duckdb"))
    session.load_paths([str(file)], None, ingest.LoadObserver())
    (row,) = session.list_runs()
    app = ReplayApp(session, row.run_key, None, session.find_code_map([str(code)]))
    async with app.run_test(size=(140, 40)) as pilot:
        await _until(lambda: isinstance(app.screen, DebuggerScreen) and app.screen.replay.walk is not None)
        screen: Any = app.screen
        await _until(lambda: not any(one.group == "walk" and one.is_running for one in app.workers), 300)
        walks = []
        for what, key in (("forwards", "s"), ("backwards", "S")):
            screen.stop_at_index(len(screen.opened.events) // 2)
            await pilot.pause(0.3)
            cost = await _walk(pilot.press, key)
            walks.append(Measured(f"{len(screen.opened.events):,} events with code: {what}, CPU", cost, 50, "ms"))
    return walks


async def _many_runs(folder: Path) -> list[Measured]:
    store = folder / "many.duckdb"
    file = folder / "one.json"
    file.write_text(histories.history(2, histories.Shape(1)))
    session = Session(config.Settings(store=store))
    session.load_paths([str(file)], None, ingest.LoadObserver())
    with duckdb.connect(str(store)) as connection:
        connection.execute(
            "INSERT INTO run SELECT run.* REPLACE (n AS id, md5(CAST(n AS VARCHAR))[:12] AS run_key, 'order-' || n AS "
            "workflow_id, started_at + to_seconds(n) AS started_at) FROM run, range(2, ?) AS many(n)", [_RUNS + 1]
        )  # fmt: skip
    app = ReplayApp(session)
    async with app.run_test(size=(140, 40)) as pilot:
        await _until(lambda: isinstance(app.screen, RunsScreen) and app.screen.query_one(DataGrid).count > 1)
        screen: Any = app.screen
        seconds = []
        for _ in range(3):
            before, started = screen.rows, time.perf_counter()
            app.simulate_key("o")
            await _until(lambda before=before: screen.rows is not before)  # type: ignore[misc]
            await pilot.pause(0)
            seconds.append(time.perf_counter() - started)
        count = screen.query_one(DataGrid).count
        await pilot.press("g")
        down = await _walk(pilot.press, "pagedown")
    return [
        Measured(f"{count:,} runs: sorted and painted", median(seconds) * 1000, 500, "ms"),
        Measured(f"{count:,} runs: a page down, CPU", down, 50, "ms"),
    ]


def _painted(screen: DebuggerScreen) -> bool:
    return hasattr(screen, "events") and screen.events.count > 0 and screen.events.size.height > 0


async def _walk(press: Callable[..., Awaitable[None]], key: str) -> float:
    """CPU of one step, the threads that decode for it included."""
    return await _cpu(lambda: press(*[key] * _WALK)) / _WALK


async def _cpu(work: Callable[[], Awaitable[None]]) -> float:
    started = time.process_time()
    await work()
    return (time.process_time() - started) * 1000


async def _until(fulfilled: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not fulfilled():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    sys.exit(main())
