"""How fast the direct engine is, as ratios to the SDK's own Replayer in the same process on the same histories.

    python -m benchmarks.replay [--quick]

Both start from the history's bytes, the SDK from its JSON and we from the canonical JSON that a pool's children are
given, and both end with a verdict. Absolute times depend on the machine; ratios do not. Where other work shares the
machine, the ratio of processor time is the one to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import io
import json
import logging
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from benchmarks.replayable_histories import WORKFLOWS, history
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.recorded_commands import run_from_json
from replaytool.engines.temporal.sdk.quiet_runtime import relax_garbage_collector, silence_sdk_logs
from replaytool.formats.temporal.json_files import read_json_runs
from replaytool.model.history import Run, RunHints, encode_history
from replaytool.replay.code.code_spec import CodeSpec
from replaytool.replay.code.user_code import Code
from replaytool.replay.options import Options


@dataclass(frozen=True)
class Load:
    """Histories of one kind."""

    name: str
    workflow: str
    steps: int
    count: int = 1

    def texts(self) -> list[str]:
        """Their JSON."""
        return [history(self.workflow, self.steps, number) for number in range(self.count)]


LOADS = (
    Load("small", "Steps", 6, 50),
    Load("medium", "Steps", 100),
    Load("large", "Steps", 1100),
    Load("near the limit", "Steps", 8000),
    Load("local activities", "Locals", 600),
    Load("signals", "Signals", 1000),
)
QUICK = LOADS[:2]
_SECONDS = 20.0
"""For each load; a round that has begun is ended."""


def read(text: str) -> Run:
    """A run as it comes out of a file."""
    return next(read_json_runs(io.BytesIO(text.encode()), RunHints(workflow_id="bench")))


def sdk(texts: list[str], module: ModuleType, *, sandboxed: bool) -> None:
    """Replay them by the SDK."""
    asyncio.run(_sdk(texts, module, sandboxed))


async def _sdk(texts: list[str], module: ModuleType, sandboxed: bool) -> None:
    runner = SandboxedWorkflowRunner() if sandboxed else UnsandboxedWorkflowRunner()
    replayer = Replayer(workflows=module.ALL, workflow_runner=runner)

    async def given() -> AsyncIterator[WorkflowHistory]:
        for text in texts:
            yield WorkflowHistory.from_json("bench", text)

    async with replayer.workflow_replay_iterator(given()) as results:
        async for result in results:
            assert result.replay_failure is None, result.replay_failure


def ours(runs: list[tuple[Run, bytes]], code: Code, sandbox: str) -> None:
    """Replay them by the direct engine."""
    options = Options(sandbox=sandbox)
    with silence_sdk_logs(), relax_garbage_collector():
        for run, history_bytes in runs:
            verdict = direct.replay_directly(run_from_json(run, history_bytes), code, options)
            assert not isinstance(verdict, direct.HandOver), verdict
            assert verdict.verdict == "ok", verdict


@dataclass(frozen=True)
class Time:
    """How long something took."""

    wall: float
    processor: float


def timed(calls: Sequence[Callable[[], Any]], seconds: float) -> list[Time]:
    """The best of some tries of each, by turns: what the machine does beside them only ever adds time."""
    found: list[list[Time]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while not found[0] or time.perf_counter() < end:
        for tries, call in zip(found, calls, strict=True):
            gc.collect()
            wall, processor = time.perf_counter(), time.process_time()
            call()
            tries.append(Time(time.perf_counter() - wall, time.process_time() - processor))
    return [Time(min(one.wall for one in tries), min(one.processor for one in tries)) for tries in found]


def measure(load: Load, code: Code, module: ModuleType) -> dict[str, Any]:
    """All four times of one load, and their ratios."""
    texts = load.texts()
    runs = [read(text) for text in texts]
    given = [(replace(run, events=()), encode_history(run)) for run in runs]
    events = sum(len(run.events) for run in runs)
    del runs
    sdk(texts[:1], module, sandboxed=False)  # whatever is done only once is done now
    ours(given[:1], code, "shared")
    ours(given[:1], code, "off")
    their_box, their_bare, box, bare = timed(
        [
            lambda: sdk(texts, module, sandboxed=True),
            lambda: sdk(texts, module, sandboxed=False),
            lambda: ours(given, code, "shared"),
            lambda: ours(given, code, "off"),
        ],
        _SECONDS,
    )
    return {
        "load": load.name,
        "histories": load.count,
        "events": events,
        "sdk events/s": [round(events / one.wall) for one in (their_box, their_bare)],
        "direct events/s": [round(events / one.wall) for one in (box, bare)],
        "ratio [sandbox, without]": [round(their_box.wall / box.wall, 1), round(their_bare.wall / bare.wall, 1)],
        "processor ratio": [
            round(their_box.processor / box.processor, 1),
            round(their_bare.processor / bare.processor, 1),
        ],
        "microseconds per event": round(bare.processor / events * 1e6, 1),
    }


def loaded(folder: str) -> tuple[ModuleType, Code]:
    """The workflows, as a module that a sandbox can import."""
    (Path(folder) / "replay_bench_workflows.py").write_text(WORKFLOWS)
    sys.path.insert(0, folder)
    module = importlib.import_module("replay_bench_workflows")
    definitions = {one.__name__: one for one in module.ALL}
    return module, Code(CodeSpec(("replay_bench_workflows",)), definitions, roots=(folder,))


def main() -> None:
    """Print one JSON line per load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the small and the medium histories")
    chosen = QUICK if parser.parse_args().quick else LOADS
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        module, code = loaded(folder)
        found = [measure(load, code, module) for load in chosen]
    for one in found:
        print(json.dumps(one))
    by_name = {one["load"]: one["microseconds per event"] for one in found}
    if "near the limit" in by_name:
        print(json.dumps({"per event, near the limit to medium": by_name["near the limit"] / by_name["medium"]}))
    print(json.dumps({"peak megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
