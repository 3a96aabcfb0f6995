"""The commands in the documentation, found and run as a reader would: in the folder that the demo leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from replaytool.cli.demo import prepare_demo_folder, run_command_line
from tests.support.ci_services import BIN, shell
from tests.support.dev_server import DevServer, dev_server

RIDERS = {
    "loyalty-rider-02": {"v1": [3, 4], "v2": [5, 6]},
    "loyalty-rider-04": {"v1": [8], "v2": [2]},
    "loyalty-rider-07": {"v1": [5, 1]},
    "loyalty-rider-08": {"v2": [5, 6, 7]},
}
_PATIENCE = 60.0
_BLOCK = re.compile(r"^```sh ?(\w*)\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_CODE = re.compile(r"#.*exits with (\d+)")
_SECONDS = re.compile(r"\d+\.\d+ s\b")
_COMMENT = re.compile(r"\s+# .*$")


@dataclass(frozen=True)
class Command:
    """One line that a reader may type."""

    page: str
    line: int
    kind: str
    """What stands behind `sh`: nothing, server, screen, slow (for the drills), install, elsewhere."""
    text: str
    code: int = 0
    """How it ends, by what its comment says."""
    is_repeated: bool = False
    """Whether its comment asks to run it again until it ends so."""
    shown: tuple[str, ...] = ()
    """The output that the page quotes below the block of which this is the last command."""
    section: str = ""
    """The heading that it stands under."""


def commands(page: Path) -> Iterator[Command]:
    """All commands on a page, in order."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        number = text.count("\n", 0, block.start(2))
        section = ["", *_HEADING.findall(text, 0, block.start())][-1]
        found: list[Command] = []
        for line in block[2].replace("\\\n", " ").splitlines():
            number += 1
            said = _CODE.search(line)
            if plain := _COMMENT.sub("", f" {line}").strip():
                code = int(said[1]) if said else 0
                again = "run it again until" in line
                found.append(Command(page.name, number, block[1], plain, code, again, section=section))
        if block[3]:
            found[-1] = replace(found[-1], shown=tuple(block[3].splitlines()))
        yield from found


def missing_lines(shown: Sequence[str], output: str) -> list[str]:
    """Return the quoted lines that the output does not have, in order. `…` stands for any text, seconds may differ."""
    lines = iter(_SECONDS.sub("N s", line).rstrip() for line in output.splitlines())
    patterns = [
        re.escape(_SECONDS.sub("N s", line).rstrip()).replace("…", ".*") for line in shown if line.strip() != "…"
    ]
    return [one for one in patterns if not any(re.fullmatch(one, line) for line in lines)]


def loyalty(folder: Path) -> Path:
    """What `replaytool demo --folder` leaves, on a branch of a git repository, with the histories loaded."""
    prepare_demo_folder(folder)
    author = {
        f"GIT_{who}_{what}": "reader@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    script = "git init -q -b main . && git add -A && git commit -q -m histories"
    made = shell(f"{script} && for build in v1 v2 v3; do git tag release-$build; done", folder, author)
    assert made.returncode == 0, made.stderr
    change = "git switch -qc change && echo '# one line more' >> code/v3.py && git commit -qam change"
    made = shell(change, folder, author)
    assert made.returncode == 0, made.stderr
    with contextlib.chdir(folder):
        assert run_command_line(["load", "histories/"]) == 0
    return folder


def perform(command: Command) -> int:
    """Run a command here, and again where its comment says so; the exit code."""
    deadline = time.monotonic() + _PATIENCE
    while (code := _performed(command)) != command.code and command.is_repeated and time.monotonic() < deadline:
        time.sleep(0.5)
    return code


def _performed(command: Command) -> int:
    """In this process where it is ours alone, else by a shell."""
    if command.kind == "screen":
        return _on_screen(shlex.split(command.text))
    if command.text.startswith("cd "):
        os.chdir(command.text.removeprefix("cd "))
        return 0
    if command.text.startswith("replaytool ") and not re.search(
        r"[|><;&$]", re.sub(r"'[^']*'|\"[^\"]*\"", "", command.text)
    ):
        return run_command_line(shlex.split(command.text)[1:])
    done = shell(command.text, Path.cwd(), {})
    sys.stdout.write(done.stdout + done.stderr)
    return done.returncode


def _on_screen(command: list[str]) -> int:
    """Run on a terminal of its own, and leave by a key."""
    master, slave = pty.openpty()
    size = {"TEXTUAL_PRESS": "ctrl+q", "COLUMNS": "120", "LINES": "40", "TERM": "xterm-256color"}
    environment = os.environ | size | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    with contextlib.suppress(OSError):  # which is how a terminal ends
        while os.read(master, 65536):
            pass
    os.close(master)
    return process.wait(60)


@contextlib.contextmanager
def riders_on_a_server() -> Iterator[DevServer]:
    """A server whose riders went through v1 and v2, with v3 at work."""
    from temporalio.client import Client

    from tests.reset.support.riders import Handle, join, loyalty, rest

    async def lead(address: str) -> None:
        client = await Client.connect(address)
        handles: dict[str, Handle] = {}
        for build in ("v1", "v2"):
            async with loyalty(client, build):
                for rider, trips in RIDERS.items():
                    for kilometres in trips.get(build, []):
                        handles[rider] = handles.get(rider) or await join(client, rider)
                        await handles[rider].signal("trip", kilometres)
                await rest(handles.values())

    async def work(address: str, over: asyncio.Event) -> None:
        async with loyalty(await Client.connect(address), "v3"):
            await over.wait()

    with dev_server() as server:
        asyncio.run(lead(server.address))
        with _background(lambda over: work(server.address, over)):
            yield server


@contextlib.contextmanager
def _background(work: Callable[[asyncio.Event], object]) -> Iterator[None]:
    """Something asynchronous on a thread of its own until we are done."""
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(work(over)))  # type: ignore[arg-type]
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)
        loop.close()
