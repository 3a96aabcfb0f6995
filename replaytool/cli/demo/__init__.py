"""`replaytool demo`: run the main jobs on bundled histories and show each command with its real output."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from replaytool.cli import main
from replaytool.cli.demo.narration import print_command, print_heading, print_paragraph
from replaytool.errors import FAULT, ErrorCode, ReplaytoolError

_SETTINGS = """\
[tool.replaytool]
store = "loyalty.duckdb"
workflows = ["code/v3.py"]

[tool.replaytool.builds]
v1 = "code/v1.py"
v2 = "code/v2.py"
v3 = "code/v3.py"
"""
_BAD = ("TRIPS_PER_MAIL = 3", "TRIPS_PER_MAIL = 2")
_REPAIRED = (
    "        if len(self.trips) % TRIPS_PER_MAIL == 0:\n",
    '        every = 2 if workflow.patched("mail-every-second-trip") else TRIPS_PER_MAIL\n'
    "        if len(self.trips) % every == 0:\n",
)


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One command of the demo: why it is run, the command line, and the expected exit code."""

    title: str
    why: str
    command: str
    code: int = 0
    so: str = ""
    """What the output shows."""


STORY = (
    DemoStep(
        "Load histories",
        "A loyalty programme runs one workflow for each rider: trips earn points, every third trip sends a mail. "
        "These are the histories of nine riders, as the Temporal CLI exports them.",
        "load histories/",
    ),
    DemoStep(
        "Check a pull request",
        "A colleague wants a mail after every second trip, and changes one number: TRIPS_PER_MAIL = 2. "
        "Can running workflows go on with that code?",
        "check histories/rider-01.json histories/rider-07.json --workflows code/pull_request.py",
        1,
        "Exit code 1: the pull request is red before anything is deployed, with the line and the event.",
    ),
    DemoStep(
        "Check it again, repaired",
        "The new rule stands behind workflow.patched(…) now, as the report advises.",
        "check histories/rider-01.json histories/rider-07.json --workflows code/repaired.py",
        0,
        "Exit code 0: old runs go on as they were, and new ones follow the new rule.",
    ),
    DemoStep(
        "See who ran what",
        "Meanwhile riders complain that their points are gone. Three builds have been at work.",
        "builds",
    ),
    DemoStep(
        "Check the bad build",
        "What would a strict check have said about v2, with the histories that there were before it came?",
        "check --workflows code/v2.py --strict --where \"last_build = 'v1'\"",
        1,
        "No command changed, so workflows went on; but v2 makes 0 of 150 points.",
    ),
    DemoStep(
        "Find what it corrupted",
        "v3 puts it right. Replayed with v3, a run whose record holds a wrong number drifts, and says which.",
        "check --workflows code/v3.py",
        0,
        "0 points in the mails and results that v2 recorded, and what they should have been.",
    ),
    DemoStep(
        "Ask one of them when and where",
        "pyproject.toml names the code of each build, so that every task is replayed with the code that ran it.",
        'debug loyalty-rider-04 --find "points == 0 and trips" --blame points',
        0,
        "`replaytool debug loyalty-rider-04` without a question opens the screen at this run.",
    ),
    DemoStep(
        "Plan the way back, and simulate it",
        "Each rider that v2 touched can be reset to just before it. The plan is made from the histories alone; "
        "v3 replays what is kept, and goes on from there with the recorded answers.",
        "reset plan --build v2 --workflows code/v3.py -o plan.json",
        0,
        "BECOMES is the state that each rider would come to, with the points that they had earned. Read plan.json "
        "as you would read a migration; `replaytool reset apply plan.json --address …` carries it out.",
    ),
)


@click.command
@click.option("--folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Work here, and leave it behind.")
@click.option("--server", is_flag=True, help="Recover riders on a real Temporal dev server, from the bad build on.")
def command(folder: Path | None, server: bool) -> None:
    """Show the main jobs on a loyalty programme that one build has corrupted.

    Histories and code are part of replaytool, and no server is needed unless --server asks for one. Each step shows
    its command, so that you can run it again in the folder, which is temporary unless --folder names one.

    \b
    Examples:
      replaytool demo
      replaytool demo --folder loyalty
      replaytool demo --server
    """
    with _open_demo_folder(folder) as place:
        prepare_demo_folder(place)
        with _isolate_settings(place):
            if server:
                _run_recovery(place)
            else:
                for number, step in enumerate(STORY, 1):
                    _perform_step(number, step)
    if folder is not None:
        click.echo(f"\nGo on in {folder}: `replaytool tui` walks through the runs on the screen.")
    else:
        click.echo("\n`replaytool demo --folder loyalty` leaves all of this behind, to go on with.")


def _run_recovery(place: Path) -> None:
    from replaytool.cli.demo import server as demo_server

    demo_server.recover_riders(place)
    if sys.stdin.isatty() and click.confirm("\nWalk through the runs on the screen now?"):
        run_command_line(["tui"])


@contextlib.contextmanager
def _open_demo_folder(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="replaytool-demo-") as temporary:
            yield Path(temporary)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReplaytoolError(
            f"{folder} is there already, and not empty",
            "name a folder that is to be made",
            code=ErrorCode.OUTPUT_EXISTS,
        )
    folder.mkdir(parents=True, exist_ok=True)
    yield folder.resolve()


def prepare_demo_folder(place: Path) -> None:
    """Copy the bundled histories and code into a folder, with a configuration of its own."""
    bundled = resources.files("replaytool") / "loyalty"
    for name in ("histories", "code"):
        (place / name).mkdir()
    for item in bundled.iterdir():
        if item.name.startswith("history-"):
            (place / "histories" / item.name.removeprefix("history-")).write_bytes(item.read_bytes())
    for item in (bundled / "builds").iterdir():
        if item.name.endswith(".py"):
            (place / "code" / item.name).write_bytes(item.read_bytes())
    right = (place / "code" / "v3.py").read_text(encoding="utf-8")
    for name, (old, new) in {"pull_request.py": _BAD, "repaired.py": _REPAIRED}.items():
        assert old in right
        (place / "code" / name).write_text(right.replace(old, new), encoding="utf-8")
    (place / "pyproject.toml").write_text(_SETTINGS, encoding="utf-8")


@contextlib.contextmanager
def _isolate_settings(place: Path) -> Iterator[None]:
    """Change into the folder, without the user's REPLAYTOOL_* variables."""
    before, kept = Path.cwd(), dict(os.environ)
    for name in [name for name in os.environ if name.startswith("REPLAYTOOL_")]:
        del os.environ[name]
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.update(kept)


def _perform_step(number: int, step: DemoStep) -> None:
    """Explain a step, run its command and comment on its output."""
    print_heading(number, step.title)
    print_paragraph(step.why)
    print_command(step.command)
    code = run_command_line(shlex.split(step.command))
    if code != step.code:
        raise ReplaytoolError(
            f"that should have ended with {step.code}, and ended with {code}", "", FAULT, code=ErrorCode.DEMO_STEP
        )
    if step.so:
        click.echo()
        print_paragraph(step.so)


def run_command_line(arguments: list[str]) -> int:
    """Run one command in this process and return its exit code."""
    sys.stdout.flush()
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
