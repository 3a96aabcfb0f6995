"""How every screen looks, at three sizes, in light and dark; and a long hostile history, walked through.

SNAPSHOTS=write keeps the pictures of what is there now.

The pictures are Textual's own, without what only repeats (clips, fonts), so that a change is a few lines of a diff.
Another Textual paints other pictures: they are compared under the version that the project tests with.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from tests.support.paths import FIXTURES
from tests.tui import recorded_stores as recordings
from tests.tui.conftest import Drive, Driver
from tests.tui.conftest import drive as drive
from tests.tui.conftest import state as state
from tests.tui.conftest import told as told

pytestmark = pytest.mark.drill
PICTURES = Path(__file__).with_name("pictures")

LOYALTY = FIXTURES / "loyalty"
SIZES = ((80, 24), (110, 35), (140, 40))
THEMES = ("textual-dark", "textual-light")
_TEXTUAL = "8.2.8"
_REPEATS = (
    (r"<clipPath.*?</clipPath>", ""),
    (r' clip-path="[^"]*"', ""),
    (r"@font-face \{.*?\}", ""),
    (r"<!--.*?-->", ""),
    (r"<text [^>]*>(&#160;)*</text>", ""),
    (r"terminal-\d+-", "t-"),
    (r"\d+\.\d\d&#160;s\b", "0.00&#160;s"),
    (r"checked&#160;[\d-]+&#160;[\d:]+", "checked&#160;then"),
    (r"\n\s*\n+", "\n"),
)


@dataclass(frozen=True)
class Scene:
    """A screen, and the keys that lead to what is worth looking at."""

    name: str
    presses: Sequence[str] = ()
    run: str | None = None
    event: int | None = None
    code: Mapping[str, str] | None = None
    store: str = "riders.duckdb"


CODE = {name: f"{name}.py" for name in ("v1", "v2", "v3")}
SCENES = (
    Scene("runs", ("space", "j")),
    Scene("runs-empty", store="empty.duckdb"),
    Scene("debugger-recorded", ("2",), "loyalty-rider-02", 29),
    Scene("debugger-code", ("3",), "loyalty-rider-02", 28, CODE),
    Scene("blame", ("s", "a"), "loyalty-rider-02", 24, CODE),
    Scene("causes", ("f6", "j")),
    Scene("builds", ("f3", "j")),
    Scene("reset-choice", ("asterisk", "R")),
    Scene("reset", ("f3", "j", "R")),
    Scene("apply", ("f3", "j", "R", "a")),
    Scene("compare", ("space", "space", "d")),
    Scene("sql", ("f4", "f5")),
    Scene("help", ("question_mark",), "loyalty-rider-02", 28),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Riders that were checked against code that diverges, and a store without runs."""
    found = tmp_path_factory.mktemp("pictures")
    session = recordings.store(found / "riders.duckdb", *sorted(LOYALTY.glob("history-rider-0[1-5].json")))
    empty = recordings.store(found / "empty.duckdb", recordings.generated(found / "a.json", 1))
    with empty.store.open_writer() as writer:
        for table in ("run", "event", "problem", "run_build"):
            writer._connection.execute(f"DELETE FROM {table}")
    for name in CODE.values():
        shutil.copy(LOYALTY / "builds" / name, found / name)
    bad = (found / "v1.py").read_text().replace("        scored =", "        await workflow.sleep(5)\n        scored =")
    (found / "bad.py").write_text(bad)
    keys = [row.run_key for row in session.list_runs()]
    here = Path.cwd()
    os.chdir(found)
    try:
        session.checks.run_check(keys, ["bad.py"], lambda key, verdict: None, threading.Event())
    finally:
        os.chdir(here)
    return found


@pytest.mark.skipif(version("textual") != _TEXTUAL, reason=f"the pictures were taken with Textual {_TEXTUAL}")
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_every_screen_looks_as_it_did(drive: Drive, folder: Path, scene: Scene) -> None:
    different: list[str] = []

    async def walk(at: Driver) -> None:
        await at.press(*scene.presses)
        at.app.clear_notifications()
        for width, height in SIZES:
            await at.pilot.resize_terminal(width, height)
            for theme in THEMES:
                at.app.theme = theme
                for one in at.app.screen.query(Input):
                    one.cursor_blink = False
                for editor in at.app.screen.query(TextArea):
                    editor.cursor_blink = False
                await at.picture()
                name = f"{scene.name}-{width}x{height}-{theme.removeprefix('textual-')}"
                different.extend(_kept(name, at.app.export_screenshot(title="replaytool")))

    drive(walk, SIZES[-1], folder / scene.store, scene.run, scene.event, scene.code)
    assert not different, f"{different} look different; SNAPSHOTS=write keeps them so"


def _kept(name: str, picture: str) -> list[str]:
    for pattern, by in _REPEATS:
        picture = re.sub(pattern, by, picture, flags=re.DOTALL)
    file = PICTURES / f"{name}.svg"
    if os.environ.get("SNAPSHOTS") == "write":
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(picture, encoding="utf-8")
    return [] if file.is_file() and file.read_text(encoding="utf-8") == picture else [name]


def test_a_long_hostile_history_is_walked_through(drive: Drive, tmp_path: Path) -> None:
    store = tmp_path / "evil.duckdb"
    recordings.store(store, recordings.hostile_and_long(tmp_path / "evil.json", 7_400))

    def harmless(at: Driver) -> None:
        assert not set("\x1b\x07\r\u202e\u2066\u200b") & set(at.text.replace("\n", ""))

    async def walk(at: Driver) -> None:
        await at.press("enter")
        events = at.screen.opened.events
        assert len(events) > 50_000
        for key in (*"nnnsssSNc2131G", "enter", *"NSNC", "g", "enter", "colon"):
            await at.press(key)
            harmless(at)
        await at.write("@act")
        await at.press("enter", "escape", "slash")
        await at.write("[/nope]")
        await at.press("enter")
        harmless(at)
        assert len(at.screen._hits) > 1_000
        await at.press("full_stop", "full_stop", "comma", "y", "question_mark", "escape")
        long = next(n for n, event in enumerate(events) if len(event.raw) > 1_000_000)
        at.screen.stop_at_index(long)
        await at.settle()
        await at.press("1", "pagedown", "G", "z", "z", "y")
        harmless(at)

    drive(walk, store=store)
