"""What the random programs call: activities, a child workflow, and a step that fails the first time in each process."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

RECORDING = "DRILL_RECORDING"
_failed: set[str] = set()


def fail_once(key: str) -> None:
    """Fail a workflow task, in the recording worker only; in the next attempt it goes well."""
    if os.environ.get(RECORDING) and key not in _failed:
        _failed.add(key)
        raise RuntimeError("this task fails once")


@activity.defn
async def echo_a(text: str) -> str:
    await asyncio.sleep(0.01)
    return f"a{text}"


@activity.defn
async def echo_b(text: str) -> str:
    return f"b{text}"


@activity.defn
async def fail_a(number: int) -> None:
    raise ApplicationError("it fails", type="A")


@activity.defn
async def fail_b(number: int) -> None:
    raise ValueError(f"it fails with {number}")


@activity.defn
async def flaky(key: str) -> str:
    if activity.info().attempt < 2:
        raise RuntimeError("not yet")
    return f"at last {key}"


@activity.defn
async def slow(tenths: int) -> str:
    for _ in range(4 * tenths):
        await asyncio.sleep(0.05)
        if not activity.info().is_local:
            activity.heartbeat()
    return "slow"


@workflow.defn(name="Small")
class Small:
    def __init__(self) -> None:
        self.go = ""

    @workflow.run
    async def run(self, word: str) -> str:
        if word == "fail":
            raise ApplicationError("the child fails", non_retryable=True)
        if word == "wait":
            await asyncio.sleep(0.4)
        if word == "signal":
            await workflow.wait_condition(lambda: bool(self.go), timeout=timedelta(seconds=5))
        return f"small {word}{self.go}"

    @workflow.signal(name="go")
    def let_go(self, word: str) -> None:
        self.go = word


async def work(address: str, folder: str, caches: int) -> None:
    """A worker with all programs in the folder: one task queue for each, as they all have one name."""
    from temporalio.client import Client
    from temporalio.worker import UnsandboxedWorkflowRunner, Worker

    client = await Client.connect(address)
    workers = []
    for path in sorted(Path(folder).glob("p*.py")):
        space: dict[str, object] = {"__name__": path.stem}
        exec(compile(path.read_text(), str(path), "exec"), space)
        sys.modules.setdefault(path.stem, sys.modules[__name__])
        workers.append(
            Worker(
                client,
                task_queue=path.stem,
                workflows=[space["Program"], Small],  # type: ignore[list-item]
                activities=[echo_a, echo_b, fail_a, fail_b, flaky, slow],
                workflow_runner=UnsandboxedWorkflowRunner(),
                max_cached_workflows=caches,
                max_concurrent_workflow_task_polls=2 if caches else 1,
                max_concurrent_activity_task_polls=1,
                nonsticky_to_sticky_poll_ratio=0.5,
            )
        )
    await asyncio.gather(*(one.run() for one in workers))


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
