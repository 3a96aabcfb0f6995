"""A workflow that does what signals tell it, and forgets what it has not done when it continues as new."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.workflow import ParentClosePolicy

SHORT = timedelta(seconds=10)


@activity.defn
async def step(name: str) -> str:
    return name


@workflow.defn
class Waiter:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn
class Machine:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.done: list[str] = []

    @workflow.run
    async def run(self, done: list[str]) -> list[str]:
        self.done = list(done)
        while True:
            try:
                await workflow.wait_condition(lambda: bool(self.asked))
            except asyncio.CancelledError:
                self.done.append("cancelled")
                continue
            what, name = self.asked.pop(0)
            if what == "close":
                return self.done
            await getattr(self, what)(name)

    async def step(self, name: str) -> None:
        self.done.append(await workflow.execute_activity(step, name, start_to_close_timeout=SHORT))

    async def fixed(self, name: str) -> None:
        await workflow.start_child_workflow(Waiter.run, id=name, parent_close_policy=ParentClosePolicy.ABANDON)

    async def random(self, name: str) -> None:
        await workflow.start_child_workflow(Waiter.run, parent_close_policy=ParentClosePolicy.ABANDON)

    async def later(self, name: str) -> None:
        await self.step(name)
        await self.random(name)

    async def again(self, name: str) -> None:
        workflow.continue_as_new(self.done)

    @workflow.signal
    def do(self, what: str, name: str) -> None:
        self.asked.append((what, name))

    @workflow.query
    def told(self) -> list[str]:
        return self.done
