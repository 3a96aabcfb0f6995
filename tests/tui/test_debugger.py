"""Every key of the debugger, pressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import FIXTURES
from tests.tui import recorded_stores as recordings
from tests.tui.conftest import Drive, Driver

pytestmark = pytest.mark.slow


def test_stepping_forwards_and_backwards_shows_state_and_difference(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        assert at.stop == 1
        assert "first stop" in at.pane("difference")
        for key in ("n", "right", "l", "n"):
            await at.press(key)
        assert at.stop == 5
        assert "activity charge_card" in at.pane("pending")
        assert "+ activity charge_card" in at.pane("difference")
        assert "issued by the task completed at event 4" in at.pane("pending")
        await at.press("n", "n")
        assert "Completed" in at.pane("difference")
        assert "charged 25" in at.pane("payload")
        assert "Waits for  nothing" in at.pane("pending")
        await at.press("N")
        assert "open again: Started" in at.pane("difference")
        await at.press("left", "h")
        assert at.stop == 4
        assert "not opened yet" in at.pane("difference")

    drive(walk, run="order-2")


def test_tasks_breakpoints_and_failures(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        ends = []
        for _ in range(5):
            await at.press("s")
            ends.append(at.stop)
        assert ends == [4, 10, 15, 21, 27]
        await at.press("s")
        assert at.stop == 27
        assert any("no workflow task" in text for text in at.said)
        await at.press("S", "S")
        assert at.stop == 15
        await at.press("c")
        assert at.stop == 24
        await at.press("c")
        assert at.stop == 28
        await at.press("C", "C")
        assert at.stop == 24
        await at.press("colon")
        await at.write("12")
        await at.press("enter", "b")
        assert [str(one) for one in at.app.breakpoints] == ["failure", "WorkflowExecutionSignaled @approve"]
        await at.press("g", "enter", "c")
        assert at.stop == 12
        await at.press("b", "g", "enter", "c")
        assert at.stop == 24

    drive(walk, run="order-2")


def test_the_list_of_breakpoints(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        await at.press("B", "d")
        assert at.app.breakpoints == ()
        assert "none; press a to add one" in at.text
        await at.press("a")
        await at.write("two words")
        await at.press("enter")
        assert "is not a breakpoint" in at.text
        await at.press("escape", "a")
        await at.write("@charge_card")
        await at.press("enter")
        assert "@charge_card" in at.text
        await at.press("q", "c")
        assert at.stop == 5
        await at.press("C")
        assert any("no breakpoint before" in text for text in at.said)

    drive(walk, run="order-2")


@pytest.mark.parametrize(("wanted", "stop"), [("22", 22), ("+10.9", 11), ("+11s", 12), ("@ship", 22), ("@approve", 12)])
def test_going_to_a_place(drive: Drive, wanted: str, stop: int) -> None:
    async def walk(at: Driver) -> None:
        await at.press("ctrl+g")
        await at.write("99")
        await at.press("enter")
        assert "no event 99" in at.text
        await at.press(*["backspace"] * 2)
        await at.write(wanted)
        await at.press("enter")
        assert at.stop == stop

    drive(walk, run="order-2")


def test_search_finds_payloads_and_walks_the_hits(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        await at.press("full_stop")
        assert any("no search result" in text for text in at.said)
        await at.press("slash")
        await at.write("charged 25")
        await at.press("enter")
        assert at.stop == 7
        await at.press("slash")
        await at.write("ship")
        await at.press("enter")
        assert at.stop == 22
        await at.press("full_stop", "full_stop")
        assert at.stop == 24
        await at.press("comma")
        assert at.stop == 23

    drive(walk, run="order-2")


def test_looking_is_no_travel_and_enter_is(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        await at.press("j", "down", "k")
        assert (at.stop, at.screen.events.cursor) == (1, 1)
        assert "WorkflowTaskScheduled" in at.pane("payload")
        await at.press("G")
        assert "no stock" in at.pane("payload")
        await at.press("enter")
        assert at.stop == 28
        await at.press("ctrl+u", "pageup", "pagedown", "ctrl+d", "home", "end", "up", "g")
        assert (at.stop, at.screen.events.cursor) == (28, 0)

    drive(walk, run="order-2")


def test_panes_zoom_focus_and_copy(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        await at.press("y")
        assert '"eventId": "1"' in at.app.clipboard
        for key, pane in (("1", "payload"), ("2", "pending"), ("3", "difference")):
            await at.press(key)
            assert at.screen.focused.id == pane
        await at.press("1", "j", "pagedown", "g", "G", "z")
        assert not at.screen.events.display or at.screen.events.size.height == 0
        assert at.screen.panes.payload.size.width > 130
        await at.press("z")
        assert at.screen.events.size.height > 20
        await at.press("tab")
        assert at.screen.focused.id == "pending"
        await at.press("shift+tab", "q")
        assert at.name == "RunsScreen"

    drive(walk, run="order-2")


def test_narrow_screens_show_one_pane_below_the_list(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        heights = {name: pane.size.height for name, pane in at.screen.panes.beside.items()}
        assert heights["payload"] > 5
        assert heights["pending"] == heights["difference"] == 0
        await at.press("2")
        assert at.screen.panes.pending.size.height > 5
        assert at.screen.panes.payload.size.height == 0

    drive(walk, (80, 24), run="order-2")


def test_builds_stand_along_the_bar_and_a_click_travels(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        assert "┃v2" in at.text
        await at.pilot.click("#minimap", offset=(100, 0))
        await at.settle()
        assert at.stop > 20
        assert "build v2" in at.text.splitlines()[0]
        await at.pilot.click("#events", offset=(10, 3))
        await at.settle()
        assert at.screen.events.cursor == 2

    drive(walk, run="order-2")


def test_signals_are_handled_by_a_task(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        assert "● approve  event 12, not handled yet" in at.pane("pending")
        assert "customer" in at.pane("pending")
        assert "north" in at.pane("pending")
        await at.press("s")
        assert "✔ approve" in at.pane("pending")
        assert "handled" in at.pane("difference")

    drive(walk, run="order-2", event=12)


def test_a_run_that_is_not_there_says_so(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        assert "no run 'nobody' in the store" in at.text
        for key in ("n", "N", "s", "S", "c", "b", "slash", "colon", "y", "z", "1", "enter", "full_stop"):
            await at.press(key)
        await at.press("q")
        assert at.name == "RunsScreen"

    drive(walk, run="nobody")


@pytest.mark.parametrize("size", [(140, 40), (40, 10)])
def test_a_hostile_history_is_shown_and_does_nothing(drive: Drive, tmp_path: Path, size: tuple[int, int]) -> None:
    recordings.store(tmp_path / "evil.duckdb", recordings.hostile(tmp_path / "evil.json"))

    def harmless(at: Driver) -> None:
        assert not set("\x1b\x07\r\u202e\u2066\u200b") & set(at.text.replace("\n", ""))

    async def walk(at: Driver) -> None:
        harmless(at)
        await at.press("p")
        harmless(at)
        await at.press("escape", "enter")
        for key in (
            "1",
            "pagedown",
            "2",
            "3",
            "z",
            "z",
            "b",
            "B",
            "escape",
            "question_mark",
            "escape",
            "y",
            *"nnnnnnns",
        ):
            await at.press(key)
            harmless(at)
        await at.press("slash")
        await at.write("[/nope]")
        await at.press("enter")
        harmless(at)
        at.screen.events.focus()
        await at.press("G", "enter")
        harmless(at)
        assert at.stop == 23
        await at.press("f3")
        harmless(at)

    code = str(FIXTURES / "activities_in_sequence" / "workflow.py")
    app: Any = drive(walk, size, tmp_path / "evil.duckdb", code=code)
    assert app.return_code in (0, None)
