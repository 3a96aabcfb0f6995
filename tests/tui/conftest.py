"""The app under a pilot, in a folder and a state of its own."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from replaytool import config
from replaytool.session import Session
from replaytool.tui.app import ReplayApp
from replaytool.tui.debugger import replay_side as replaying
from replaytool.tui.debugger import screen as debugger
from replaytool.tui.widgets.line_list import TextPane
from tests.tui import recorded_stores as recordings

SNAPSHOTS = Path(__file__).with_name("snapshots")


class Driver:
    """Presses keys, and waits until all that they started has ended."""

    def __init__(self, app: ReplayApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            self._send(events.Key(key, key if len(key) == 1 else None))
            await self.settle()

    async def write(self, text: str) -> None:
        for char in text:
            self._send(events.Key(_character_to_key(char), char))
        await self.settle()

    def _send(self, event: events.Key) -> None:
        event.set_sender(self.app)
        assert self.app._driver is not None
        self.app._driver.send_message(event)

    async def settle(self) -> None:
        """Textual's own pause waits for an idle processor, which a busy machine does not have."""
        quiet = 0
        while quiet < 2:
            await self.pilot._wait_for_screen()
            await asyncio.sleep(0.002)
            self.app.screen._on_timer_update()
            busy = any(worker.is_running for worker in self.app.workers)
            quiet = 0 if busy or not self.app.screen._mounted_event.is_set() else quiet + 1

    @property
    def screen(self) -> Any:
        return self.app.screen

    @property
    def name(self) -> str:
        return type(self.app.screen).__name__

    @property
    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips) + "\n"

    @property
    def stop(self) -> int:
        return int(self.screen.opened.events[self.screen.stop].event_id)

    async def picture(self) -> str:
        """The screen when it looks the same twice and nothing is under way; the foot is made anew with each focus."""
        while True:
            before = self.text
            await asyncio.sleep(0.05)
            await self.settle()
            footed = all(footer.query("FooterKey") for footer in self.app.screen.query("Footer"))
            below = [one for screen in self.app.screen_stack for one in screen.query("#source")]
            replays = any("replaying" in str(one.border_subtitle) for one in below)
            if footed and not replays and before == self.text:
                return before

    def pane(self, name: str) -> str:
        return self.app.screen.query_one(f"#{name}", TextPane).plain_text

    @property
    def said(self) -> list[str]:
        return [one.message for one in self.app._notifications]


Walk = Callable[[Driver], Awaitable[None]]
Drive = Callable[..., ReplayApp]


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    recordings.stories(folder)
    return folder


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(debugger, "_PAUSE", 0)
    monkeypatch.setattr(replaying, "_PAUSE", 0)
    return tmp_path / "state"


@pytest.fixture
def drive(told: Path, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """Run the app on a store, the told one unless another is named, and walk in it."""

    def run(
        walk: Walk, size: tuple[int, int] = (140, 40), store: Path | None = None, run: str | None = None,
        event: int | None = None, code: Mapping[str, str] | str | None = None, **settings: Any,
    ) -> ReplayApp:  # fmt: skip
        monkeypatch.chdir(told if store is None else store.parent)
        session = Session(config.Settings(store=Path(store.name if store else "runs.duckdb"), **settings))
        named = session.find_code_map([code]) if isinstance(code, str) else session.find_code_map((), code)
        app = ReplayApp(session, run, event, named)
        app.animation_level = "none"

        async def go() -> None:
            async with app.run_test(size=size) as pilot:
                driver = Driver(app, pilot)
                await driver.settle()
                await walk(driver)

        asyncio.run(asyncio.wait_for(go(), 240))
        return app

    return run


def matches(name: str, text: str) -> None:
    """Compare with the stored screen; SNAPSHOTS=write stores what is there now."""
    text = re.sub(r"\d+\.\d\d s", "0.00 s", text)
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("SNAPSHOTS") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{name} looks different; SNAPSHOTS=write keeps it so"
