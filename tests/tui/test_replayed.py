"""The debugger with code: source, variables, questions, and code that hangs, dies or is not there."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.git_repository import git
from tests.support.paths import FIXTURES
from tests.tui import recorded_stores as recordings
from tests.tui.conftest import Drive, Driver

pytestmark = pytest.mark.slow

LOYALTY = FIXTURES / "loyalty"
BUILDS = {name: str(LOYALTY / "builds" / f"{name}.py") for name in ("v1", "v2", "v3")}
POINTS = "self.points = scored * 0"
Rider = Callable[..., object]


def line_of(text: str, build: str = "v2") -> int:
    return next(n for n, line in enumerate(Path(BUILDS[build]).read_text().splitlines(), 1) if text in line)


@pytest.fixture(scope="module")
def riders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("riders") / "riders.duckdb"
    recordings.store(path, *(LOYALTY / f"history-rider-0{number}.json" for number in (1, 2)))
    return path


@pytest.fixture
def rider(drive: Drive, riders: Path) -> Rider:
    """Walk in the debugger at the rider that build v2 corrupted."""

    def run(walk: Callable[[Driver], object], **more: object) -> object:
        given: dict[str, object] = {"store": riders, "run": "loyalty-rider-02", "code": BUILDS, **more}
        return drive(walk, **given)

    return run


def variables(at: Driver) -> str:
    return str(at.screen.panes.variables.plain_text)


def test_the_first_corrupted_task_and_the_line_in_under_ten_presses(rider: Rider) -> None:
    async def walk(at: Driver) -> None:
        pressed = ["f", "enter", "a"]
        await at.press("f")
        await at.write("points == 0 and trips")
        await at.press("enter")
        assert at.stop == 28
        assert any("first true at event 28, build v2, still false at event 24" in text for text in at.said)
        assert "~ points 0  was 70" in variables(at)
        assert at.screen.panes.variables.variable_path == "points"
        await at.press("a")
        told = at.screen.query_one("#answer").plain_text
        for words in ("points  70 → 0", "event  28", "build  v2", f"v2.py:{line_of(POINTS)}", POINTS):
            assert words in told, words
        assert len(pressed) < 10
        await at.press("enter")
        assert (at.name, at.stop) == ("DebuggerScreen", 28)

    rider(walk)


def test_the_same_where_builds_are_commits_of_a_repository(drive: Drive, riders: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for build, code in BUILDS.items():
        shutil.copy(code, tmp_path / "loyalty.py")
        git(tmp_path, "add", "loyalty.py")
        git(tmp_path, "commit", "-q", "-m", build)
        git(tmp_path, "tag", build)
    shutil.copy(riders, tmp_path / "riders.duckdb")

    async def walk(at: Driver) -> None:
        await at.press("o")
        await at.write("loyalty.py --git")
        await at.press("enter", "f")
        await at.write("points == 0 and trips")
        await at.press("enter", "a")
        told = at.screen.query_one("#answer").plain_text
        for words in ("points  70 → 0", "event  28", "build  v2", f"loyalty.py:{line_of(POINTS)}", POINTS):
            assert words in told, words

    drive(walk, store=tmp_path / "riders.duckdb", run="loyalty-rider-02")
    assert len(git(tmp_path, "worktree", "list").splitlines()) == 1


def test_source_shows_the_file_of_the_build_and_what_waits_in_it(rider: Rider) -> None:
    async def walk(at: Driver) -> None:
        source = at.screen.panes.source
        waits = line_of("await workflow.wait_condition", "v1")
        assert f"v1.py:{waits}" in source.border_title
        assert "▶" in "".join(text for text, _ in source.format_row(waits - 1))
        assert "code per build" in at.screen.replay.walk.code_summary
        await at.press("colon")
        await at.write("9")
        await at.press("enter")
        asks = line_of("scored = await", "v1")
        assert source.border_title.endswith(f"v1.py:{asks}")
        assert "↗" in "".join(text for text, _ in source.format_row(asks - 1))
        await at.press("right_square_bracket", "right_square_bracket")
        assert source.border_title.endswith(f"v1.py:{line_of('await self.score', 'v1')}")
        await at.press("left_square_bracket")
        assert source.border_title.endswith(f"v1.py:{asks}")
        await at.press("colon")
        await at.write("30")
        await at.press("enter")
        assert "v2.py" in source.border_title
        assert "◆ points 70 → 0" in at.text
        await at.press("5", "y")
        assert at.app.clipboard.endswith(f"v2.py:{source.line_number}")

    rider(walk, event=4)


def test_variables_and_the_difference_go_both_ways(rider: Rider) -> None:
    async def walk(at: Driver) -> None:
        await at.press("s")
        assert "~ points 30  was 0" in variables(at)
        assert "~ points  0 → 30" in at.pane("difference")
        assert "trips [3]" in variables(at)
        assert "commands of this task" not in at.pane("pending").lower()
        await at.press("S")
        assert "~ points 0  was 30" in variables(at)
        assert "↗ activity score_trip  event 9" in at.pane("pending")
        await at.press("4", "g", "j", "y")
        assert at.app.clipboard == "0"
        await at.press("g", "a")
        assert any("put the cursor on a variable" in text for text in at.said)

    rider(walk, event=8)


def test_watches_are_shown_at_each_stop_and_come_back(rider: Rider) -> None:
    async def walk(at: Driver) -> None:
        await at.press("w")
        await at.write("len(trips)")
        await at.press("enter", "w")
        await at.write("points +")
        await at.press("enter", "6")
        assert "len(trips)  2  since event 24, before: 1" in at.pane("watch")
        assert "points +  ✗" in at.pane("watch")
        at.screen.events.focus()
        await at.press("S", "S")
        assert "len(trips)  1" in at.pane("watch")

    async def back(at: Driver) -> None:
        assert "len(trips)  2" in at.pane("watch")
        await at.press("W", "j", "d", "d")
        assert at.app.place.watches == ()
        await at.press("a")
        await at.write("left")
        await at.press("enter", "escape")
        assert "left  False" in at.pane("watch")

    rider(walk, event=28)
    rider(back, event=28)


def test_breakpoints_on_lines_and_expressions(rider: Rider) -> None:
    mails = line_of("            await workflow.execute_activity(")

    async def walk(at: Driver) -> None:
        await at.press("B", "d", "a")
        await at.write("if points == 0 and trips")
        await at.press("enter", "escape", "c")
        assert at.stop == 28
        assert "●" in "".join(text for text, _ in at.screen.events.format_row(27))
        await at.press("C")
        assert any("no breakpoint before" in text for text in at.said)
        await at.press("B", "d", "a")
        await at.write(f"v2.py:{mails}")
        await at.press("enter", "escape", "c")
        assert at.screen.replay.moment.build_id == "v2"
        assert at.screen.panes.source.border_title.endswith(f"v2.py:{mails}")
        first = at.stop
        await at.press("5", "b")
        assert list(at.app.breakpoints) == []
        await at.press("b")
        assert [str(one).endswith(f"v2.py:{mails}") for one in at.app.breakpoints] == [True]
        assert "●" in "".join(text for text, _ in at.screen.panes.source.format_row(mails - 1))
        at.screen.events.focus()
        await at.press("g", "enter", "c")
        assert at.stop == first

    rider(walk)


def test_without_code_the_keys_say_so_and_code_can_be_named(rider: Rider) -> None:
    async def walk(at: Driver) -> None:
        assert not at.screen.panes.source.display
        for key in ("f", "a", "w"):
            await at.press(key)
        assert sum("press o to choose it" in text for text in at.said) == 3
        await at.press("x", "e", "escape", "right_square_bracket")
        assert any("no known mismatch" in text for text in at.said)
        await at.press("o")
        await at.write(f"v1={BUILDS['v1']} v2={BUILDS['v2']}")
        await at.press("enter")
        assert at.screen.panes.source.display
        assert "points 70" in variables(at)
        await at.press("colon")
        await at.write("60")
        await at.press("enter")
        assert "✗ no code" in variables(at)

    rider(walk, event=24, code=None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("        raise RuntimeError('no luck')\n        scored = await", "no luck"),
        ("        import os; os._exit(7)\n        scored = await", "exit"),
        ("        await workflow.sleep(1)\n        scored = await", "diverged"),
    ],
)
def test_code_that_fails_dies_or_diverges_shows_as_such(rider: Rider, tmp_path: Path, change: str, words: str) -> None:
    code = (LOYALTY / "workflow.py").read_text().replace("        scored = await", change)
    (tmp_path / "odd.py").write_text(code)

    async def walk(at: Driver) -> None:
        await at.press("G", "enter")
        assert words in variables(at) or words in at.text, at.text
        await at.press("f")
        await at.write("points == 0 and trips")
        await at.press("enter", "q")
        assert at.name == "RunsScreen"

    rider(walk, code=str(tmp_path / "odd.py"))


def test_code_that_cannot_be_loaded_says_so(rider: Rider, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nowhere_at_all\n")

    async def walk(at: Driver) -> None:
        assert "nowhere_at_all" in at.text
        await at.press("n", "s", "f")
        await at.write("points")
        await at.press("enter", "q")
        assert at.name == "RunsScreen"

    rider(walk, code=str(tmp_path / "broken.py"))


def test_the_editor_is_told_file_and_line(rider: Rider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textual.app import App

    from replaytool.tui import editor

    assert editor.build_editor_command("vi", "a.py", 3) == ["vi", "+3", "a.py"]
    assert editor.build_editor_command("code --wait", "a.py", 3) == ["code", "--wait", "-g", "a.py:3"]
    script = tmp_path / "edit"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\n')
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)

    async def walk(at: Driver) -> None:
        await at.press("e")
        assert any("$EDITOR is not set" in text for text in at.said)
        monkeypatch.setenv("EDITOR", str(script))
        await at.press("e")
        assert any("cannot use this terminal" in text for text in at.said)
        from contextlib import nullcontext

        monkeypatch.setattr(App, "suspend", lambda self: nullcontext())
        await at.press("e")

    rider(walk, event=28)
    assert (tmp_path / "told").read_text() == f"+{line_of('scored = await')} {os.path.relpath(BUILDS['v2'])}\n" or (
        (tmp_path / "told").read_text().startswith(f"+{line_of('scored = await')} ")
    )
