"""What `check --base main --guilty` takes beside `check --base main`, on the same pull requests.

    python -m benchmarks.guilty [--cases N] [--first SEED]

The pull requests are those of the drill (`tests/drills/guilty_drill.py`): up to eleven edits over recorded programs.
Each command is a process of its own; the order of the two alternates.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.drills.guilty_drill import make_pull_request, make_repository, recorded_histories

_CHECK = (sys.executable, "-m", "replaytool", "check", "--workflows", "wf.py", "--base", "main", "--jobs", "1")


def measure_pair(seed: int) -> tuple[str, float, float]:
    """Return the name of a pull request, and the seconds without and with --guilty."""
    request = make_pull_request(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        make_repository(request, folder)
        histories = [str(path) for path in recorded_histories(request.program)]
        seconds = {}
        for flags in ((), ("--guilty",)) if seed % 2 else (("--guilty",), ()):
            began = time.perf_counter()
            done = subprocess.run([*_CHECK, *flags, *histories], cwd=folder, capture_output=True, check=False)
            assert done.returncode in (0, 1), done.stderr
            seconds[flags] = time.perf_counter() - began
    return request.name, seconds[()], seconds[("--guilty",)]


def main() -> None:
    """Print each pull request, and the median and the greatest ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    ratios = []
    for seed in range(options.first, options.first + options.cases):
        name, plain, guilty = measure_pair(seed)
        ratios.append(guilty / plain)
        print(f"{name:45} {plain:6.2f} s {guilty:6.2f} s {ratios[-1]:5.2f}", flush=True)
    print(f"ratio: median {statistics.median(ratios):.2f}, greatest {max(ratios):.2f}")


if __name__ == "__main__":
    main()
