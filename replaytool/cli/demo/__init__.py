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
        "A loyalty program runs one workflow per rider: trips earn points, and every third trip sends a mail. "
        "These are the histories of nine riders, as the Temporal CLI exports them.",
        "load histories/",
    ),
    DemoStep(
        "Check a pull request",
        "A pull request sends a mail after every second trip. It changes one number: TRIPS_PER_MAIL = 2. "
        "Can running workflows continue with that code?",
        "check histories/rider-01.json histories/rider-07.json --workflows code/pull_request.py",
        1,
        "Exit code 1: the check fails before anything is deployed, and names the event and the line.",
    ),
    DemoStep(
        "Check the fixed pull request",
        "The new rule is now behind workflow.patched(…), as the report advises.",
        "check histories/rider-01.json histories/rider-07.json --workflows code/repaired.py",
        0,
        "Exit code 0: old runs continue with the old rule, new runs use the new one.",
    ),
    DemoStep(
        "List the builds",
        "Meanwhile riders complain that their points are gone. Three builds have run these workflows.",
        "builds",
    ),
    DemoStep(
        "Check the bad build",
        "Would a strict check have found the fault of v2, with the histories from before its deployment?",
        "check --workflows code/v2.py --strict --where \"last_build = 'v1'\"",
        1,
        "No command changed, so the workflows did not fail. But v2 computes 0 points instead of 150.",
    ),
    DemoStep(
        "Find the corrupted runs",
        "v3 fixes the fault. Replayed with v3, every run with a wrong recorded number drifts, and the report shows it.",
        "check --workflows code/v3.py",
        0,
        "Each cause has the number that v2 recorded in one run, and the right one.",
    ),
    DemoStep(
        "Find the event and the line",
        "pyproject.toml names the code of each build, so each task is replayed with the code that ran it.",
        'debug loyalty-rider-04 --find "points == 0 and trips" --blame points',
        0,
        "`replaytool debug loyalty-rider-04` opens this run on the screen.",
    ),
    DemoStep(
        "Plan the resets and simulate them",
        "Each rider that v2 touched can be reset to before its first task. The plan needs only the histories. "
        "v3 replays the events before each point, and the simulation continues with the recorded results.",
        "reset plan --build v2 --workflows code/v3.py -o plan.json",
        0,
        "STATE AFTER is the predicted state of each rider, with the points that they had earned. Review plan.json "
        "like a migration; `replaytool reset apply plan.json --address HOST:PORT` applies it.",
    ),
)


@click.command
@click.option(
    "--folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Work in this new folder, and keep it."
)
@click.option("--server", is_flag=True, help="Recover from a bad build on a real Temporal dev server.")
def command(folder: Path | None, server: bool) -> None:
    """Run the main commands on a loyalty program that one build has corrupted.

    Histories and code come with replaytool. Only --server needs the Temporal CLI. Each step prints its command. The
    demo works in a temporary folder; with --folder it keeps the folder, and you can run the commands again there.

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
        click.echo(f"\nTo continue: `cd {folder} && replaytool tui` shows the runs on the screen.")
    else:
        click.echo("\nTo keep these files: `replaytool demo --folder loyalty`.")


def _run_recovery(place: Path) -> None:
    from replaytool.cli.demo import server as demo_server

    demo_server.recover_riders(place)
    if sys.stdin.isatty() and click.confirm("\nOpen the runs on the screen now?"):
        run_command_line(["tui"])


@contextlib.contextmanager
def _open_demo_folder(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="replaytool-demo-") as temporary:
            yield Path(temporary)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReplaytoolError(f"the folder {folder} is not empty", "name a new folder", code=ErrorCode.OUTPUT_EXISTS)
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
            f"`replaytool {step.command}` exited with {code} instead of {step.code}",
            "",
            FAULT,
            code=ErrorCode.DEMO_STEP,
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
