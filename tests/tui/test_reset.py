"""The reset dialog: choose, see, write; and apply to a real server, confirmed by a typed number."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.model import reset_plan as plan
from tests.reset.support.scene import Scene, run
from tests.support.dev_server import DevServer, dev_server
from tests.support.paths import FIXTURES
from tests.tui import recorded_stores as recordings
from tests.tui.conftest import Drive, Driver

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def riders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("riders") / "riders.duckdb"
    recordings.store(path, *recordings.recorded("loyalty"))
    return path


def points(at: Driver) -> dict[str, int]:
    return {item.workflow_id: item.point.event_id for item in at.screen.plan.items}


def test_marked_runs_go_back_to_before_a_build(drive: Drive, riders: Path) -> None:
    async def walk(at: Driver) -> None:
        at.screen.set_filter("type:Loyalty status:running")
        await at.settle()
        await at.press("asterisk", "R")
        assert "build v2" in at.text
        await at.press("j", "enter")
        assert at.name == "ResetScreen"
        assert points(at)["loyalty-rider-02"] == 28
        for words in ("2 signals", "3 score_trip, 1 send_mail", "33 events", "first task by build v2"):
            assert words in at.pane("effects"), words
        assert "not written yet" in at.text
        await at.press("y")
        assert json.loads(at.app.clipboard)["point"]["event_id"] == 28
        await at.press("enter")
        assert (at.name, at.stop) == ("DebuggerScreen", 28)
        await at.press("q", "o")
        assert at.name == "PageDialog"
        await at.press("escape", "x")
        assert "loyalty-rider-02" not in points(at)
        await at.press("o")
        assert "you left it out" in at.text
        await at.press("escape", "X", "i")
        assert "loyalty-rider-02" in points(at)
        assert any("no warning blocks" in text for text in at.said)
        await at.press("w", "enter")
        assert "written to reset-v2.json" in at.text

    drive(walk, store=riders)
    written = plan.read_plan(riders.parent / "reset-v2.json")
    assert written.rule == {"build": "v2"}
    (riders.parent / "reset-v2.json").unlink()


def test_a_plan_is_simulated_with_the_right_code(drive: Drive, riders: Path) -> None:
    async def walk(at: Driver) -> None:
        at.screen.set_filter("build:v2 rider-02")
        await at.settle()
        await at.press("R", "j", "enter", "s")
        assert at.name == "CodeDialog"
        await at.write(str(FIXTURES / "loyalty" / "builds" / "v3.py"))
        await at.press("enter")
        assert at.name == "ResetScreen"
        assert "simulated" in at.text.splitlines()[0]
        (item,) = at.screen.plan.items
        assert item.prefix_verdict == "ok"
        assert item.simulation["state"]["points"] > 0
        found = item.simulation
        answers = f"{found['exact']} results exact, {found['assumed']} assumed; status {found['status']}"
        for words in ("prefix       ✔ ok", answers, f"points: {found['state']['points']}"):
            assert words in at.pane("effects"), words
        assert "Prefix" in at.text
        await at.press("w", "enter")

    drive(walk, store=riders)
    (written,) = riders.parent.glob("reset-v2*.json")
    assert plan.read_plan(written).items[0].prefix_verdict == "ok"
    written.unlink()


def test_a_run_goes_back_to_the_task_under_the_cursor(drive: Drive, riders: Path) -> None:
    async def walk(at: Driver) -> None:
        await at.press("R", "G", "enter")
        assert at.name == "ResetScreen"
        assert points(at) == {"loyalty-rider-02": 28}
        assert "before event 30" in at.text
        (riders.parent / "taken.json").write_text("")
        await at.press("w", "end", "ctrl+u")
        await at.write("taken.json")
        await at.press("enter")
        assert any("already" in text for text in at.said)
        assert "not written yet" in at.text

    drive(walk, store=riders, run="loyalty-rider-02", event=30)


def test_builds_lead_to_a_reset_and_hashes_are_refused(drive: Drive, riders: Path, tmp_path: Path) -> None:
    recordings.store(tmp_path / "hash.duckdb", *recordings.recorded("build_id_default"))

    async def walk(at: Driver) -> None:
        await at.press("b", "j", "R")
        assert at.name == "ResetScreen"
        assert "before build v2" in at.text

    async def refused(at: Driver) -> None:
        await at.press("b", "R")
        assert "the SDK's default build ID" in at.text
        for key in ("w", "a", "i", "x", "X", "o", "y", "enter"):
            await at.press(key)
        await at.press("q")
        assert at.name == "BuildsScreen"

    drive(walk, store=riders)
    drive(refused, store=tmp_path / "hash.duckdb")


def test_a_server_that_does_not_answer_leaves_the_form_open(drive: Drive, riders: Path) -> None:
    shutil.copy(riders, riders.parent / "other.duckdb")

    async def walk(at: Driver) -> None:
        await at.press("b", "j", "R", "a")
        assert at.name == "ApplyDialog"
        await at.write("127.0.0.1:1")
        await at.press("enter")
        wrong = at.screen.query_one("#wrong").content.plain
        assert "127.0.0.1:1" in wrong
        assert at.screen.query_one("#address").disabled is False
        await at.press("escape")
        assert at.name == "ResetScreen"
        assert "written to" in at.text

    drive(walk, store=riders.parent / "other.duckdb")
    (riders.parent / "reset-v2.json").unlink()


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with dev_server() as started:
        yield started


@pytest.mark.server
def test_a_plan_is_applied_when_its_number_is_typed(
    drive: Drive, server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)

    async def apply(at: Driver, number: str) -> None:
        await at.press("a")
        at.screen.query_one("#address").value = server.address
        at.app.simulate_key("enter")
        async with asyncio.timeout(60):
            while not at.screen.query_one("#number").display:
                await asyncio.sleep(0.05)
        assert "This resets 2 workflows in namespace default" in at.screen.query_one("#question").content.plain
        at.screen.query_one("#number").value = number
        await at.press("enter")

    async def walk(at: Driver) -> None:
        await at.press("b", "j", "R")
        assert len(points(at)) == 2
        await apply(at, "3")
        assert "nothing was reset" in at.text
        await at.press("escape")
        await apply(at, "2")
        assert "✔ 2 done" in at.text
        await at.press("escape")
        assert at.text.count("✔ done") == 3, "two in the list, one in the pane"
        assert "new run" in at.pane("effects")

    async def scenario(scene: Scene) -> None:
        async with scene.build("v1"):
            handles = [await scene.start(str(number)) for number in range(2)]
        async with scene.build("v2"):
            for handle in handles:
                await scene.do(handle, "step:a")
        store = await scene.pull()
        async with scene.build("v3"):
            assert store.path is not None
            await asyncio.to_thread(drive, walk, (140, 40), store.path)
            made = plan.read_plan(tmp_path / "reset-v2.json")
            scene.plan_file.write_text(plan.plan_to_text(made))
            shutil.copy(tmp_path / "reset-v2.ledger.duckdb", tmp_path / "plan.ledger.duckdb")
            found = await scene.verify(made)
            assert [one.state for one in found] == ["done", "done"]
            after = await scene.pull("after.duckdb")
            (row,) = after.query_rows("SELECT count(*) AS n FROM runs WHERE reset_from_run_id IS NOT NULL")
            assert row["n"] == 2

    run(scenario, "tuireset", server, tmp_path)
