"""How long `replaytool check` takes from start to end, against a plain script around the SDK's Replayer.

    python -m benchmarks.checking [--quick] [--repeat N]

Both are processes of their own and read the same files; both have their bytecode, as after the first use. Wall time is
what a person waits, with all of the machine's cores for both; processor time is what is left of it on a busy machine.
One line for one job and one for two: the script has no jobs, so it is measured once for both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.replayable_histories import WORKFLOWS, history

_MODULE = "replay_bench_workflows"
PLAIN = f"""
import asyncio, logging, sys
from pathlib import Path
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
import {_MODULE}

logging.disable(logging.CRITICAL)

async def main():
    async def given():
        for path in sorted(Path(sys.argv[1]).iterdir()):
            yield WorkflowHistory.from_json(path.stem, path.read_text())

    failed = 0
    async with Replayer(workflows={_MODULE}.ALL).workflow_replay_iterator(given()) as results:
        async for result in results:
            failed += result.replay_failure is not None
    return failed

sys.exit(asyncio.run(main()))
"""


@dataclass(frozen=True)
class Load:
    """Histories of one kind, a file each."""

    name: str
    workflow: str
    steps: int
    count: int


LOADS = (
    Load("small", "Steps", 6, 1000),
    Load("medium", "Steps", 100, 60),
    Load("local activities", "Locals", 200, 30),
    Load("signals", "Signals", 300, 30),
)
_JOBS = (1, 2)


@dataclass(frozen=True)
class Cost:
    """What a process and its children took, at their best."""

    wall: float
    processor: float
    megabytes: float
    """The largest of the processes."""


_MEASURE = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def measured(command: list[str], folder: Path, repeat: int) -> Cost:
    """A process of its own asks the system, which knows the children of a process only as a whole."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found = []
    for _ in range(repeat):
        asked = [sys.executable, "-c", _MEASURE, *command]
        done = subprocess.run(asked, cwd=folder, env=environment, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return Cost(*map(min, zip(*found, strict=True)))


def compared(load: Load, repeat: int) -> Iterator[dict[str, object]]:
    """Both on the same histories, with each number of jobs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{_MODULE}.py").write_text(WORKFLOWS)
        (folder / "plain.py").write_text(PLAIN)
        for kind, count in (("one", 1), ("all", load.count)):
            (folder / kind).mkdir()
            for number in range(count):
                (folder / kind / f"w{number}.json").write_text(history(load.workflow, load.steps, number))
        plain = [sys.executable, "plain.py"]
        checked = [sys.executable, "-m", "replaytool", "check", "--workflows", _MODULE]
        for command in (plain, checked):
            measured([*command, "one"], folder, 1)  # whatever is done only once is done now
        theirs = measured([*plain, "all"], folder, repeat)
        for jobs in _JOBS:
            ours = measured([*checked, "--jobs", str(jobs), "all"], folder, repeat + 2)
            yield _line(load, jobs, theirs, ours)


def _line(load: Load, jobs: int, theirs: Cost, ours: Cost) -> dict[str, object]:
    return {
        "load": load.name,
        "histories": load.count,
        "jobs": jobs,
        "plain script, seconds": round(theirs.wall, 2),
        "check, seconds": round(ours.wall, 2),
        "ratio": round(theirs.wall / ours.wall, 1),
        "processor ratio": round(theirs.processor / ours.processor, 1),
        "largest process, megabytes [script, check]": [round(theirs.megabytes), round(ours.megabytes)],
    }


def main() -> None:
    """Print one JSON line for each load and each number of jobs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only the small histories, a tenth of them")
    parser.add_argument("--repeat", type=int, default=1, help="tries of the script; of ours there are two more")
    options = parser.parse_args()
    for load in (replace(LOADS[0], count=100),) if options.quick else LOADS:
        for line in compared(load, options.repeat):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
