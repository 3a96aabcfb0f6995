"""Make the pictures of the README from the real program: `python docs/tools/pictures.py`."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from replaytool import config
from replaytool.cli.demo import STORY, prepare_demo_folder, run_command_line
from replaytool.session import Session

TARGET = Path(__file__).parents[1] / "pictures"
SIZE = (140, 40)
PATIENCE = 240
CODE = {build: f"code/{build}.py" for build in ("v1", "v2", "v3")}


def failing_check() -> str:
    """The demo's red pull request, as a terminal shows it."""
    command = next(step.command for step in STORY if "pull_request.py" in step.command)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert run_command_line(command.split()) == 1
    console = Console(record=True, width=116, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ replaytool {command}", style="bold cyan"))
    for line in said.getvalue().splitlines():
        console.print(Text(line, style=_style(line)), soft_wrap=False)
    return console.export_svg(title="replaytool check")


def _style(line: str) -> str:
    """Colours for the reader of a picture, by what a line begins with."""
    starts = {"✗": "bold red", "-->": "blue", "- history": "red", "+ code": "green", "help:": "yellow"}
    return next((style for start, style in starts.items() if line.lstrip().startswith(start)), "")


async def debugger() -> str:
    """The debugger at the task in which build v2 lost a rider's points."""
    from replaytool.tui.app import ReplayApp

    session = Session(config.load_settings({}))
    key = session.find_run("loyalty-rider-02").run_key
    app = ReplayApp(session, key, 34, session.find_code_map((), CODE))
    app.animation_level = "none"
    async with app.run_test(size=SIZE) as pilot, asyncio.timeout(PATIENCE):
        while any(worker.is_running for worker in app.workers):
            await pilot.pause(0.2)
        await pilot.pause(1)
        return app.export_screenshot(title="replaytool debug loyalty-rider-02")


def main() -> None:
    """Both pictures, in a folder where nothing of this machine is to be seen."""
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        prepare_demo_folder(Path(folder))
        os.environ["XDG_STATE_HOME"] = folder
        with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):
            with contextlib.redirect_stdout(io.StringIO()):
                assert run_command_line(["load", "histories/"]) == 0
            pictures = {"check.svg": failing_check(), "debugger.svg": asyncio.run(debugger())}
    for name, picture in pictures.items():
        (TARGET / name).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
