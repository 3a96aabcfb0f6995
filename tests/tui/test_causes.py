"""Checking from the screens: causes, their runs, the first mismatch, and stopping what hangs."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from replaytool import config
from replaytool.session import Session
from tests.support.paths import FIXTURES
from tests.tui import recorded_stores as recordings
from tests.tui.conftest import Drive, Driver

pytestmark = pytest.mark.slow

LOYALTY = FIXTURES / "loyalty"
SLEEPS = "        await workflow.sleep(5)\n        scored = await"


@pytest.fixture(scope="module")
def riders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of riders, and three versions of their code beside it."""
    folder = tmp_path_factory.mktemp("riders")
    recordings.store(folder / "riders.duckdb", *(LOYALTY / f"history-rider-0{number}.json" for number in (1, 2, 7)))
    code = (LOYALTY / "workflow.py").read_text()
    (folder / "good.py").write_text(code)
    (folder / "bad.py").write_text(code.replace("        scored = await", SLEEPS))
    (folder / "hangs.py").write_text(code.replace("        scored = await", "        while True: pass\n        await"))
    return folder / "riders.duckdb"


async def check(at: Driver, code: str) -> None:
    await at.press("c")
    at.screen.query_one("#code").value = ""
    await at.write(code)
    await at.press("enter")


def test_a_check_fills_causes_and_verdicts_and_leads_to_the_mismatch(drive: Drive, riders: Path) -> None:
    async def walk(at: Driver) -> None:
        await at.press("f6")
        assert "no run has been checked yet" in at.text
        await check(at, "bad.py")
        assert at.name == "CausesScreen"
        assert any("3 ✗ diverged" in text for text in at.said)
        (finding,) = at.screen.grid.rows
        assert (finding.cause.runs, finding.cause.message) == (
            3,
            "history: activity score_trip; code: timer",
        )
        await at.picture()
        shown = at.pane("evidence")
        assert "- activity score_trip" in shown
        assert "+ timer 5s" in shown
        assert "await workflow.sleep(5)" in shown
        await at.press("tab", "j")
        run = at.screen.affected.current_row.subject
        await at.press("y", "enter")
        assert json.loads(at.app.clipboard)["run_key"] == run.run_key
        assert at.name == "DebuggerScreen"
        assert at.screen.opened.row["run_key"] == run.run_key
        first = at.screen.opened.events[at.stop - 1]
        assert first.event_type == "ActivityTaskScheduled"
        assert at.screen.panes.mismatch.size.height > 5
        assert "+ timer 5s" in at.pane("mismatch")
        assert "✗ diverged at event 9: history: activity score_trip; code: timer 5s" in at.text
        await at.press("G", "enter", "1", "x")
        assert at.stop == 9
        await at.press("q", "q")
        assert at.text.count("✗ diverged") == 3
        at.screen.set_filter("verdict:diverged rider-01")
        await at.settle()
        assert at.screen.grid.count == 1
        await at.press("x")
        assert at.name == "DebuggerScreen"
        await at.press("q")
        at.screen.set_filter("")
        await at.settle()
        await check(at, "good.py")
        assert at.name == "RunsScreen"
        assert "✗ diverged" not in at.text
        assert (at.text.count("✔ ok"), at.text.count("~ drift")) == (2, 1)
        await at.press("g", "x")
        assert any("✔ ok" in text for text in at.said)
        await at.press("a", "e", "R", "enter", "y")
        assert any("no line of code" in text for text in at.said)
        assert at.name == "CausesScreen"
        await at.press("c", "escape", "r")
        assert "the code follows every checked run" in at.text

    drive(walk, store=riders)


def test_code_that_cannot_be_loaded_says_so_and_may_be_named_again(drive: Drive, riders: Path) -> None:
    async def walk(at: Driver) -> None:
        await check(at, "nowhere.py")
        assert at.name == "CodeDialog"
        assert "nowhere.py" in at.screen.query_one("#wrong").content.plain
        await at.press("escape")
        await check(at, "")
        assert "no workflow code given" in at.screen.query_one("#wrong").content.plain
        await at.press("escape")
        assert at.name == "RunsScreen"

    drive(walk, store=riders)


def test_code_that_hangs_is_stopped_by_a_key(drive: Drive, riders: Path) -> None:
    async def walk(at: Driver) -> None:
        await at.press("c")
        at.screen.query_one("#code").value = "hangs.py"
        at.app.simulate_key("enter")
        began = time.monotonic()
        while not at.app.screen.query("#progress") or not at.app.screen.query_one("#progress").display:
            assert time.monotonic() - began < 30
            await asyncio.sleep(0.05)
        await at.pilot._wait_for_screen()
        at.app.simulate_key("escape")
        await at.settle()
        assert at.name == "RunsScreen"
        assert any(text.startswith("stopped") for text in at.said)

    drive(walk, store=riders)


def test_a_stopped_check_keeps_what_is_known(riders: Path) -> None:
    import threading

    checks = Session(config.Settings(store=riders)).checks
    stop = threading.Event()
    keys = [row.run_key for row in Session(config.Settings(store=riders)).list_runs()]
    report = checks.run_check(keys, [str(riders.parent / "bad.py")], lambda key, verdict: stop.set(), stop)
    assert report.runs
    assert report.complete == (len(report.runs) == len(keys))
