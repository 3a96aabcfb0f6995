"""Workflows that end in every way there is, run by a real worker, for what reads them from the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "sources"
ENDINGS = ("completed", "failed", "canceled", "terminated", "timed-out", "continued", "running", "long", "reset")
RUNS = {"continued": 3, "reset": 2}
"""How many runs an ending leaves behind, where it is more than one."""

LONG = 400
"""More signals than a server puts on one page."""


@activity.defn(name="echo")
async def echo(value: str) -> str:
    return value


@workflow.defn(name="Ending")
class Ending:
    def __init__(self) -> None:
        self.signals = 0

    @workflow.signal(name="go")
    def go(self) -> None:
        self.signals += 1

    @workflow.run
    async def run(self, how: str, left: int = 2) -> str:
        said: str = await workflow.execute_activity(echo, how, start_to_close_timeout=timedelta(seconds=20))
        if how == "failed":
            raise ApplicationError("as asked", non_retryable=True)
        if how == "continued" and left:
            workflow.continue_as_new(args=[how, left - 1])
        if how in ("canceled", "terminated", "timed-out", "running", "long"):
            await workflow.wait_condition(lambda: self.signals >= LONG * 10)
        return said


async def populate(address: str, each: int, endings: tuple[str, ...] = ENDINGS) -> int:
    """Leave `each` workflows of each ending on the server; how many runs the server lists then."""
    client = await Client.connect(address)
    async with Worker(
        client, task_queue=QUEUE, workflows=[Ending], activities=[echo], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        at_once = asyncio.Semaphore(40)
        await asyncio.gather(*(_limited(at_once, client, how, at) for at in range(each) for how in endings))
    runs = sum(RUNS.get(how, 1) for how in endings) * each
    await _visible(client, runs)
    return runs


async def _limited(at_once: asyncio.Semaphore, client: Client, how: str, at: int) -> None:
    async with at_once:
        await _one(client, how, at)


async def _one(client: Client, how: str, at: int) -> None:
    timeout = timedelta(seconds=4) if how == "timed-out" else None
    handle = await client.start_workflow(
        Ending.run, args=[how], id=f"{how}/{at}", task_queue=QUEUE, execution_timeout=timeout
    )
    if how in ("completed", "failed", "timed-out", "continued", "reset"):
        await _ended(handle.result())
    elif how in ("canceled", "terminated"):
        await _is_waiting(handle)
        await (handle.cancel() if how == "canceled" else handle.terminate("as asked"))
        await _ended(handle.result())
    elif how == "long":
        await asyncio.gather(*(handle.signal(Ending.go) for _ in range(LONG)))
    if how == "reset":
        await _reset(client, handle)


async def _ended(result: Awaitable[str]) -> None:
    with contextlib.suppress(WorkflowFailureError):
        await result


async def _is_waiting(handle: WorkflowHandle[Ending, str]) -> None:
    for _ in range(200):
        if (await handle.describe()).history_length >= 10:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the workflow did not get to its wait")


async def _reset(client: Client, handle: WorkflowHandle[Ending, str]) -> None:
    request = ResetWorkflowExecutionRequest(
        namespace="default", reason="as asked", workflow_task_finish_event_id=4, request_id=handle.id
    )
    request.workflow_execution.workflow_id = handle.id
    request.workflow_execution.run_id = handle.result_run_id or ""
    await client.workflow_service.reset_workflow_execution(request)
    await _ended(client.get_workflow_handle(handle.id).result())


async def _visible(client: Client, runs: int) -> None:
    """The list lags behind, in what it holds and in what it says about how a run ended."""
    for _ in range(200):
        listed = [info async for info in client.list_workflows()]
        still = [info for info in listed if info.status == WorkflowExecutionStatus.RUNNING]
        if len(listed) == runs and all(info.id.startswith(("running/", "long/")) for info in still):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{len(listed)} runs are listed, and not {runs}")
