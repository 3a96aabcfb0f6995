"""`replaytool tui` and `replaytool debug`: printed, and in a real terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from replaytool.cli import debug, tui
from replaytool.errors import ReplaytoolError
from replaytool.model import reset_plan as plan
from tests.support.paths import FIXTURES
from tests.tui import recorded_stores as recordings

pytestmark = pytest.mark.slow

LOYALTY = FIXTURES / "loyalty"
PATIENCE = 60


def ask(told: Path, *arguments: str) -> str:
    result = CliRunner().invoke(
        debug.command, [*arguments, "--store", str(told / "runs.duckdb")], obj={}, catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.output


def test_the_state_is_printed(told: Path) -> None:
    text = ask(told, "order-2", "--no-tui", "--at", "12")
    assert "event 12: WorkflowExecutionSignaled approve" in text
    assert "build: v1" in text
    assert "timer 1, Started, 30s, since event 11" in text
    assert "signal approve, event 12, not handled yet" in text
    assert "processed by the task completed at event 15" in text
    assert "customer: ada" in text
    assert "Failed" in ask(told, "order-2", "--no-tui").splitlines()[0]


def test_the_state_as_json(told: Path) -> None:
    found: dict[str, Any] = json.loads(ask(told, "order-2", "--json", "--at", "12"))["at"]
    assert (found["event_id"], found["build_id"], found["status"]) == (12, "v1", "Running")
    assert [one["kind"] for one in found["pending"]] == ["timer"]
    assert [one["handled"] for one in found["signals"]] == [False]
    assert found["memo"] == {"customer": "ada"}
    assert found["search_attributes"] == {"Region": "north"}


def test_what_is_not_there_is_an_error(told: Path) -> None:
    for arguments in (["order-2", "--no-tui", "--at", "99"], ["nobody", "--no-tui"]):
        with pytest.raises(ReplaytoolError):
            ask(told, *arguments)


def test_nothing_hostile_is_printed(tmp_path: Path) -> None:
    recordings.store(tmp_path / "runs.duckdb", recordings.hostile(tmp_path / "evil.json"))
    key = "id"
    for more in ([], ["--at", "6"], ["--json"]):
        text = ask(tmp_path, key, "--no-tui", *more)
        assert not set("\x1b\x07\r\u202e\u2066") & set(text)


def test_the_screens_need_a_terminal(told: Path) -> None:
    arguments = ["--store", str(told / "runs.duckdb")]
    with pytest.raises(ReplaytoolError, match="need a terminal"):
        CliRunner().invoke(tui.command, arguments, obj={}, catch_exceptions=False)
    with pytest.raises(ReplaytoolError, match="need a terminal"):
        CliRunner().invoke(debug.command, ["order-1", *arguments], obj={}, catch_exceptions=False)


def test_help_shows_an_example_and_imports_no_textual() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from replaytool.cli import debug, tui\n"
        "for one in (debug, tui): out = CliRunner().invoke(one.command, ['--help']).output; assert 'Example' in out\n"
        "assert not {'textual', 'duckdb', 'temporalio', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class Terminal:
    """A terminal of its own, in a tmux server of its own."""

    def __init__(self, folder: Path, store: Path, *more: str) -> None:
        self._command = ["tmux", "-S", str(folder / "socket"), "-f", "/dev/null"]
        size = ("-x", "100", "-y", "30", "-c", str(folder))
        start = [sys.executable, "-m", "replaytool", "tui", "--store", str(store), *more]
        environment = ("-e", f"XDG_STATE_HOME={folder}", "-e", f"EDITOR={folder / 'editor'}", "-e", "VISUAL=")
        self._do("new-session", "-d", *size, *environment, *start)

    def _do(self, *arguments: str) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=20)
        return done.stdout

    def press(self, *keys: str) -> None:
        self._do("send-keys", *keys)

    def shows(self, text: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            screen = self._do("capture-pane", "-p")
            if text in screen:
                return screen
            time.sleep(0.05)
        raise AssertionError(f"{text!r} did not come:\n{screen}")

    def shows_no(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text in (screen := self._do("capture-pane", "-p")):
            assert time.monotonic() < deadline, f"{text!r} did not go:\n{screen}"
            time.sleep(0.05)

    @property
    def ended(self) -> bool:
        return not self._do("list-sessions").strip()

    def close(self) -> None:
        self._do("kill-server")


def test_a_walk_in_a_real_terminal(told: Path, tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: the walk in a real terminal is left out")
    terminal = Terminal(tmp_path, told / "runs.duckdb")
    try:
        terminal.shows("order-3")
        terminal.press("Down", "Enter")
        terminal.shows("event 1/28")
        terminal.shows("v2")
        terminal.press("c")
        terminal.shows("event 24/28")
        terminal.shows("no stock")
        terminal.press("N", "2")
        terminal.shows("activity ship")
        terminal.press("F4")
        terminal.shows("press F5 or ^r to run the query")
        terminal.press("F5")
        terminal.shows("2 rows")
        terminal.press("Escape")
        time.sleep(0.3)  # a terminal takes Escape and q at once for Alt+q
        terminal.press("q")
        terminal.shows("event 23/28")
        terminal.press("q")
        terminal.shows("3 runs")
        terminal.press("q")
        deadline = time.monotonic() + 15
        while not terminal.ended and time.monotonic() < deadline:
            time.sleep(0.05)
        assert terminal.ended
    finally:
        terminal.close()
    (kept,) = (tmp_path / "replaytool" / "tui").glob("*.json")
    assert json.loads(kept.read_text())["breakpoints"] == ["failure"]


def test_from_the_start_to_a_written_plan_in_a_real_terminal(tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: the way to a plan in a real terminal is left out")
    recordings.store(tmp_path / "riders.duckdb", *recordings.recorded("loyalty"))
    (tmp_path / "editor").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/edited\n')
    (tmp_path / "editor").chmod(0o755)
    builds = [f"--code={build}={LOYALTY / 'builds' / build}.py" for build in ("v1", "v2", "v3")]
    terminal = Terminal(tmp_path, tmp_path / "riders.duckdb", *builds)
    try:
        terminal.shows("11 runs")
        terminal.press("/")
        terminal.shows_no("Space Mark")  # the filter line has the focus, and takes the keys
        terminal.press("rider-02", "Enter")
        terminal.shows(" 1 runs")
        terminal.press("Enter")
        terminal.shows("event 1/60")
        terminal.shows("◆ points 70")
        terminal.press("f")
        terminal.shows("Find the first step where this is true")
        terminal.press("points == 0 and trips", "Enter")
        terminal.shows("event 28/60")
        terminal.press("4")
        terminal.shows("points 0  was 70")
        terminal.press("a")
        terminal.shows("self.points = scored * 0")
        terminal.press("Escape")
        time.sleep(0.5)
        terminal.press("e")
        deadline = time.monotonic() + PATIENCE
        while not (tmp_path / "edited").is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "v2.py" in (tmp_path / "edited").read_text()
        terminal.shows("event 28/60")
        terminal.press("R")
        terminal.shows("Enter shows the plan")
        terminal.press("j", "Enter")
        terminal.shows("before build v2")
        terminal.shows("first task by build v2")
        terminal.press("w")
        terminal.shows("reset-v2.json")
        terminal.press("Enter")
        terminal.shows("written to reset-v2.json")
        terminal.press("C-q")
    finally:
        terminal.close()
    (item,) = plan.read_plan(tmp_path / "reset-v2.json").items
    assert (item.workflow_id, item.point.event_id) == ("loyalty-rider-02", 28)
