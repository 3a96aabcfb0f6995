"""How long `replaytool check` takes from start to end, against a plain script around the SDK's Replayer.

    python -m benchmarks.checking [--histories N] [--repeat N]

Both are processes of their own and read the same files; both have their bytecode, as after the first use. Wall time is
what a person waits, with all of the machine's cores for both; processor time is what is left of it on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.replayable import WORKFLOWS, history

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


def measured(command: list[str], folder: Path, repeat: int) -> tuple[float, float]:
    """The best wall time and the best processor time, children's included."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found = []
    for _ in range(repeat):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return min(wall for wall, _ in found), min(processor for _, processor in found)


def compared(histories: int, repeat: int) -> dict[str, float]:
    """Both on the same small histories."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{_MODULE}.py").write_text(WORKFLOWS)
        (folder / "plain.py").write_text(PLAIN)
        for kind, count in (("one", 1), ("all", histories)):
            (folder / kind).mkdir()
            for number in range(count):
                (folder / kind / f"w{number}.json").write_text(history("Steps", 6, number))
        plain = [sys.executable, "plain.py"]
        checked = [sys.executable, "-m", "replaytool", "check", "--workflows", _MODULE]
        for command in (plain, checked):
            measured([*command, "one"], folder, 1)  # whatever is done only once is done now
        theirs, ours = measured([*plain, "all"], folder, repeat), measured([*checked, "all"], folder, repeat + 2)
    return {
        "histories": histories,
        "plain script, seconds": round(theirs[0], 2),
        "check, seconds": round(ours[0], 2),
        "ratio": round(theirs[0] / ours[0], 1),
        "processor ratio": round(theirs[1] / ours[1], 1),
    }


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=1, help="tries of the script; of ours there are two more")
    options = parser.parse_args()
    print(json.dumps(compared(options.histories, options.repeat)))


if __name__ == "__main__":
    main()
