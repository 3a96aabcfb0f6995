"""What recording a timeline costs beside the bare replay of the same run, and how much memory it takes.

    python -m benchmarks.timeline [--quick]

The ratio is of processor time, from one run of this program: both replay the same history, one after the other, in the
same process. The memory is that of a process of its own which recorded one run of 50,000 events, the SDK and the code
included.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.replay import read, timed
from benchmarks.replayable_histories import WORKFLOWS, history
from replaytool.engines import Code, CodeSpec, load_code
from replaytool.engines.temporal.debug.run_states import RunStates
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.recorded_commands import run_from_json
from replaytool.model.history import Run, encode_history
from replaytool.replay.inspect_state.expressions import parse_expression
from replaytool.replay.options import Options

_SECONDS = 20.0
_RATIO, _MEGABYTES, _STEP = 2.5, 500, 0.05
_STATE = """

@workflow.defn(name="Steps")
class Ledger:
    \"\"\"The same course with a state that grows: a list of results, a dict of the newest, a counter.\"\"\"

    def __init__(self) -> None:
        self.results: list[int] = []
        self.newest: dict[str, int] = {}
        self.total = 0

    @workflow.run
    async def run(self, steps: int) -> int:
        for step in range(steps):
            score = await workflow.execute_activity("score_trip", {"trip": step}, start_to_close_timeout=LONG)
            self.results.append(score)
            self.newest[f"trip {step % 50}"] = score
            self.total += score
        return self.total
"""


@dataclass(frozen=True)
class Given:
    """A run as a child gets it, and code for it."""

    run: Run
    history: bytes
    code: Code

    def fresh(self) -> Run:
        """The run with its events, read anew."""
        return run_from_json(self.run, self.history)


def given(folder: Path, steps: int, *, state: bool) -> Given:
    """A run of so many activities, with code that holds little or much."""
    text = WORKFLOWS if not state else WORKFLOWS.split("@workflow.defn\nclass Steps")[0] + _STATE
    file = folder / ("ledger.py" if state else "steps.py")
    file.write_text(text)
    run = read(history("Steps", steps))
    return Given(replace(run, events=()), encode_history(run), load_code(CodeSpec((str(file),))))


def bare(one: Given) -> None:
    """The replay that a check makes."""
    verdict = direct.replay_directly(one.fresh(), one.code, Options())
    assert not isinstance(verdict, direct.HandOver)
    assert verdict.verdict == "ok", verdict.reason


def recorded(one: Given) -> RunStates:
    """The same, with every state kept."""
    walked = RunStates(one.fresh(), one.code, Options())
    walked.record_states()
    assert walked.trouble is None
    return walked


def ratio(one: Given, long: float) -> float:
    """Processor time of the one by that of the other."""
    bare(one)
    recorded(one)
    with_states, without = timed([lambda: recorded(one), lambda: bare(one)], long)
    return with_states.processor / without.processor


def slowest_step(walked: RunStates) -> float:
    """Seconds of processor time for one state, looked up all over the run, forwards and backwards."""
    last = walked.run.events[-1].event_id
    found = 0.0
    for event_id in (*range(1, last, max(1, last // 200)), *range(last, 1, -max(1, last // 200))):
        began = time.process_time()
        walked.moment_at(event_id)
        found = max(found, time.process_time() - began)
    return found


def seconds(call: Callable[[], object]) -> float:
    """Of processor time."""
    began = time.process_time()
    call()
    return time.process_time() - began


def remember(steps: int, folder: Path, *, state: bool) -> float:
    """Megabytes of a process that recorded one run."""
    command = [sys.executable, "-m", "benchmarks.timeline", "--memory", str(steps), *(["--state"] if state else [])]
    done = subprocess.run([*command, "--folder", str(folder)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def row(what: str, value: float, bound: float, unit: str) -> bool:
    """Print one line; whether it holds."""
    print(f"{what:58} {value:8.2f} {unit:4} at most {bound:g}  {'ok' if value <= bound else 'TOO MUCH'}", flush=True)
    return value <= bound


def main() -> int:
    """Measure everything, or the memory of this process alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--state", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.memory is not None:
        recorded(given(chosen.folder, chosen.memory, state=chosen.state))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    steps = 800 if chosen.quick else 8_334
    holds = []
    with tempfile.TemporaryDirectory() as name:
        for state, what in ((False, "little state"), (True, "a state that grows")):
            one = given(Path(name), steps, state=state)
            events = f"{6 * steps + 5:,} events, {what}"
            holds.append(row(f"{events}: recording by bare replay", ratio(one, _SECONDS), _RATIO, "x"))
            holds.append(row(f"{events}: memory", remember(steps, Path(name), state=state), _MEGABYTES, "MB"))
            walked = recorded(one)
            holds.append(row(f"{events}: the slowest step", slowest_step(walked) * 1000, _STEP * 1000, "ms"))
            spent = seconds(lambda kept=walked: kept.evaluate_at_events(parse_expression("self")))  # type: ignore[misc]
            print(f"{events}: an expression at every step takes {spent:.1f} s")
    return int(not all(holds))


if __name__ == "__main__":
    sys.exit(main())
