"""Riders of the loyalty programme on a real server, led through its builds: what the tests of resets reset."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from replaytool.cli import main
from tests.support.paths import ROOT

LOYALTY = ROOT / "fixtures" / "temporal" / "loyalty"
QUEUE = "riders"
PATIENCE = 60
Handle = WorkflowHandle[Any, Any]


def module(path: Path) -> ModuleType:
    """A file's code, under a name of its own."""
    name = f"replaytool_tests_{path.parent.parent.name}_{path.parent.name}_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def build(name: str) -> ModuleType:
    """The loyalty programme as this build had it."""
    return module(LOYALTY / "builds" / f"{name}.py")


def worker(client: Client, code: ModuleType, *, queue: str = QUEUE, **options: Any) -> Worker:
    """A worker with all that the code defines, which keeps nothing between tasks."""
    found = vars(code).values()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # build ids without versioning are what is meant
        return Worker(
            client,
            task_queue=queue,
            workflows=[one for one in found if "__temporal_workflow_definition" in getattr(one, "__dict__", {})],
            activities=[one for one in found if "__temporal_activity_definition" in getattr(one, "__dict__", {})],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=0,
            **options,
        )


def loyalty(client: Client, name: str) -> Worker:
    """A worker of one build."""
    return worker(client, build(name), build_id=name)


async def join(client: Client, rider: str) -> Handle:
    """A rider who begins with nothing."""
    await client.start_workflow("Loyalty", args=[rider, {"points": 0, "trips": []}], id=rider, task_queue=QUEUE)
    return client.get_workflow_handle(rider)


async def history(handle: Handle) -> list[HistoryEvent]:
    return list((await handle.fetch_history()).events)


def count(events: Iterable[HistoryEvent], *names: str) -> int:
    kinds = {EventType.Value(f"EVENT_TYPE_{name}") for name in names}
    return sum(event.event_type in kinds for event in events)


OPENS = ("ACTIVITY_TASK_SCHEDULED", "TIMER_STARTED", "START_CHILD_WORKFLOW_EXECUTION_INITIATED")
ENDS = (
    "ACTIVITY_TASK_COMPLETED",
    "TIMER_FIRED",
    "CHILD_WORKFLOW_EXECUTION_COMPLETED",
    "START_CHILD_WORKFLOW_EXECUTION_FAILED",
)
BUSY = ("WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_EXECUTION_SIGNALED")


def at_rest(events: list[HistoryEvent], kinds: int = 3) -> bool:
    """Nothing is under way that will bring a workflow task; with one kind only activities are looked at."""
    return count(events[-1:], *BUSY) == 0 and count(events, *OPENS[:kinds]) == count(
        events, *ENDS[: kinds + kinds // 3]
    )


async def rest(handles: Iterable[Handle], kinds: int = 3, patience: float = PATIENCE) -> None:
    """Wait until all of them have nothing left to do."""
    gate = asyncio.Semaphore(8)

    async def one(handle: Handle) -> None:
        async with gate:
            await until(lambda: _rests(handle, kinds), f"{handle.id} to rest", patience)

    await asyncio.gather(*(one(handle) for handle in handles))


async def _rests(handle: Handle, kinds: int) -> bool:
    return at_rest(await history(handle), kinds)


async def until(ready: Callable[[], Awaitable[Any]], what: str, patience: float = PATIENCE) -> Any:
    """Ask until the answer is true."""
    try:
        async with asyncio.timeout(patience):
            while not (answer := await ready()):
                await asyncio.sleep(0.05)
            return answer
    except TimeoutError:
        raise AssertionError(f"waited {patience} s for {what}") from None


def replaytool(folder: Path, *arguments: str | Path, start_only: bool = False) -> Any:
    """The command line as a process of its own: its outcome, or the process while it runs."""
    command = [sys.executable, "-m", "replaytool", *map(str, arguments)]
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("TEMPORAL_", "REPLAYTOOL_"))}
    environment = {**plain, "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, **pipes)
    if start_only:
        return process
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def call_replaytool(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has imported everything: a new one needs more than a second for that."""
    out, err = io.StringIO(), io.StringIO()
    names = [name for name in os.environ if name.startswith(("TEMPORAL_", "REPLAYTOOL_"))]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in names:
            patch.delenv(name)
        patch.chdir(folder)
        with pytest.raises(SystemExit) as exit_info:
            main([str(one) for one in arguments])
    return subprocess.CompletedProcess(arguments, int(exit_info.value.code or 0), out.getvalue(), err.getvalue())
