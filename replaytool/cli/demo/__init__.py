"""`replaytool demo`: the main jobs on histories that come with it, each with its command and its real output."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from textwrap import fill

import click

from replaytool.cli import main
from replaytool.errors import FAULT, ReplaytoolError

_WIDTH = 96
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
class Step:
    """One command: what it is good for, what a person would type, and how it ends."""

    title: str
    why: str
    command: str
    code: int = 0
    so: str = ""
    """What its output tells."""


STORY = (
    Step(
        "Load histories",
        "A loyalty programme runs one workflow for each rider: trips earn points, every third trip sends a mail. "
        "These are the histories of nine riders, as the Temporal CLI exports them.",
        "load histories/",
    ),
    Step(
        "Check a pull request",
        "A colleague wants a mail after every second trip, and changes one number: TRIPS_PER_MAIL = 2. "
        "Can running workflows go on with that code?",
        "check histories/rider-01.json histories/rider-07.json --workflows code/pull_request.py",
        1,
        "Exit code 1: the pull request is red before anything is deployed, with the line and the event.",
    ),
    Step(
        "Check it again, repaired",
        "The new rule stands behind workflow.patched(…) now, as the report advises.",
        "check histories/rider-01.json histories/rider-07.json --workflows code/repaired.py",
        0,
        "Exit code 0: old runs go on as they were, and new ones follow the new rule.",
    ),
    Step(
        "See who ran what",
        "Meanwhile riders complain that their points are gone. Three builds have been at work.",
        "builds",
    ),
    Step(
        "Check the bad build",
        "What would a strict check have said about v2, with the histories that there were before it came?",
        "check --workflows code/v2.py --strict --where \"last_build = 'v1'\"",
        1,
        "No command changed, so workflows went on; but v2 makes 0 of 150 points.",
    ),
    Step(
        "Find what it corrupted",
        "v3 puts it right. Replayed with v3, a run whose record holds a wrong number drifts, and says which.",
        "check --workflows code/v3.py",
        0,
        "0 points in the mails and results that v2 recorded, and what they should have been.",
    ),
    Step(
        "Ask one of them when and where",
        "pyproject.toml names the code of each build, so that every task is replayed with the code that ran it.",
        'debug loyalty-rider-04 --find "points == 0 and trips" --blame points',
        0,
        "`replaytool debug loyalty-rider-04` without a question opens the screen at this run.",
    ),
    Step(
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
    with _place(folder) as place:
        prepare(place)
        with _inside(place):
            if server:
                _recover(place)
            else:
                for number, step in enumerate(STORY, 1):
                    _perform(number, step)
    if folder is not None:
        click.echo(f"\nGo on in {folder}: `replaytool tui` walks through the runs on the screen.")
    else:
        click.echo("\n`replaytool demo --folder loyalty` leaves all of this behind, to go on with.")


def _recover(place: Path) -> None:
    from replaytool.cli.demo import server as demo_server

    demo_server.recover(place)
    if sys.stdin.isatty() and click.confirm("\nWalk through the runs on the screen now?"):
        run(["tui"])


@contextlib.contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="replaytool-demo-") as temporary:
            yield Path(temporary)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReplaytoolError(f"{folder} is there already, and not empty", "name a folder that is to be made")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder.resolve()


def prepare(place: Path) -> None:
    """Put histories and code into a folder, with a configuration that keeps what lies around it out."""
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
def _inside(place: Path) -> Iterator[None]:
    """Run there, and with nothing of the user's own settings."""
    before, kept = Path.cwd(), dict(os.environ)
    for name in [name for name in os.environ if name.startswith("REPLAYTOOL_")]:
        del os.environ[name]
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.update(kept)


def heading(number: int, title: str) -> None:
    """Where a step begins."""
    start = f"── {number}. {title} "
    click.echo("\n" + click.style(start + "─" * (_width() - len(start)), bold=True))


def paragraph(text: str) -> None:
    """A few sentences, broken to the width of the terminal."""
    click.echo(fill(text, _width()))


def _width() -> int:
    return min(_WIDTH, shutil.get_terminal_size().columns)


def _perform(number: int, step: Step) -> None:
    """Say what comes, do it, and say what it told."""
    heading(number, step.title)
    paragraph(step.why)
    click.echo(click.style(f"\n$ replaytool {step.command}", fg="cyan"))
    code = run(shlex.split(step.command))
    if code != step.code:
        raise ReplaytoolError(f"that should have ended with {step.code}, and ended with {code}", "", FAULT)
    if step.so:
        click.echo()
        paragraph(step.so)


def run(arguments: list[str]) -> int:
    """One command in this process, as the command line runs it; its exit code."""
    sys.stdout.flush()
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
