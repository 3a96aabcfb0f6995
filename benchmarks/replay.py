"""How fast the direct engine is, as ratios to the SDK's own Replayer in the same process on the same histories.

    python -m benchmarks.replay [--quick]

Both start from the same JSON text and both end with a verdict. Absolute times depend on the machine; ratios do not.
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
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from benchmarks.replayable import WORKFLOWS, history
from replaytool.formats.temporal_json import TemporalJson
from replaytool.history import Hints, Run
from replaytool.replay.code import Code, CodeSpec
from replaytool.replay.options import Options
from replaytool.replay.temporal import direct


@dataclass(frozen=True)
class Load:
    """Histories of one kind."""

    name: str
    workflow: str
    steps: int
    count: int = 1

    def texts(self) -> list[str]:
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


def read(text: str) -> Run:
    return next(TemporalJson().read(io.BytesIO(text.encode()), Hints(workflow_id="bench")))


def sdk(texts: list[str], module: ModuleType, sandboxed: bool) -> None:
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


def ours(texts: list[str], code: Code, sandbox: str) -> None:
    options = Options(sandbox=sandbox)
    for text in texts:
        verdict = direct.replay(read(text), code, options)
        assert not isinstance(verdict, direct.HandOver), verdict
        assert verdict.verdict == "ok", verdict


def timed(call: Callable[[], Any], best_of: int) -> float:
    """The best of some tries: what the machine does beside it only ever adds time."""
    found = []
    for _ in range(best_of):
        gc.collect()
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)


def measure(load: Load, code: Code, module: ModuleType) -> dict[str, Any]:
    texts = load.texts()
    events = sum(len(json.loads(text)["events"]) for text in texts)
    tries = 1 if events > 20_000 else 3
    sdk(texts[:1] if events < 20_000 else texts, module, False)  # whatever is done only once is done now
    seconds = {
        "sdk, sandboxed": timed(lambda: sdk(texts, module, True), tries),
        "sdk, no sandbox": timed(lambda: sdk(texts, module, False), tries),
        "direct, shared": timed(lambda: ours(texts, code, "shared"), tries + 1),
        "direct, no sandbox": timed(lambda: ours(texts, code, "off"), tries + 1),
    }
    return {
        "load": load.name,
        "histories": load.count,
        "events": events,
        "events per second": {name: round(events / one) for name, one in seconds.items()},
        "ratio in the sandbox": round(seconds["sdk, sandboxed"] / seconds["direct, shared"], 1),
        "ratio without": round(seconds["sdk, no sandbox"] / seconds["direct, no sandbox"], 1),
        "microseconds per event": round(seconds["direct, no sandbox"] / events * 1e6, 1),
    }


def loaded(folder: str) -> tuple[ModuleType, Code]:
    (Path(folder) / "replay_bench_workflows.py").write_text(WORKFLOWS)
    sys.path.insert(0, folder)
    module = importlib.import_module("replay_bench_workflows")
    definitions = {one.__name__: one for one in module.ALL}
    return module, Code(CodeSpec(("replay_bench_workflows",)), definitions, roots=(folder,))


def main() -> None:
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
