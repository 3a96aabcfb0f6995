"""From a list of operations to the source of a workflow, and from one list to an edited one."""

# ruff: noqa: E501 - the templates are lines of somebody's code, and stay as they are
from __future__ import annotations

import random
from dataclasses import dataclass, replace

HEAD = """
import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, FailureError
from temporalio.workflow import ActivityCancellationType as How, ChildWorkflowCancellationType as Child
from temporalio.workflow import ParentClosePolicy

from tests.drills.programs.steps import fail_once

TEN = timedelta(seconds=10)
ONCE = RetryPolicy(maximum_attempts=1)
TWICE = RetryPolicy(maximum_attempts=3, initial_interval=timedelta(milliseconds=20))


@workflow.defn(name="Program")
class Program:
    def __init__(self) -> None:
        self.log = []
        self.signals = 0
        self.go = False

    async def handle(self, name):
{handler}
        self.log.append(name)

    @workflow.signal
    async def poke(self, name: str) -> None:
        self.signals += 1
        await self.handle(name)

    @workflow.signal
    def finish(self) -> None:
        self.go = True

    @workflow.update
    async def change(self, name: str) -> str:
        await self.handle(name)
        return f"{{name}} {{len(self.log)}}"

    @change.validator
    def check(self, name: str) -> None:
        if name.startswith("bad"):
            raise ValueError("no")

    @workflow.query
    def seen(self) -> int:
        return len(self.log)

    @workflow.run
    async def run(self, seed: int) -> str:
{body}
        await workflow.wait_condition(lambda: self.go, timeout=timedelta(seconds=4))
        return " ".join(self.log)[-200:]
"""

# Every operation is a template: {n} is its own number, {t} a name, {k} a small number.
OPERATIONS: dict[str, str] = {
    "activity": 'self.log.append(await workflow.execute_activity("echo_{t}", "{k}", start_to_close_timeout=TEN))',
    "named_activity": 'await workflow.execute_activity("echo_{t}", "{k}", activity_id="own-{n}", start_to_close_timeout=TEN)',
    "failing_activity": """try:
    await workflow.execute_activity("fail_{t}", {k}, start_to_close_timeout=TEN, retry_policy=ONCE)
except ActivityError as error:
    self.log.append(type(error.cause).__name__)""",
    "retried_activity": 'self.log.append(await workflow.execute_activity("flaky", "{n}", start_to_close_timeout=TEN, retry_policy=TWICE))',
    "timed_out_activity": """try:
    await workflow.execute_activity("slow", {k}, start_to_close_timeout=timedelta(milliseconds=60), retry_policy=ONCE)
except ActivityError as error:
    self.log.append(type(error.cause).__name__)""",
    "local": 'self.log.append(await workflow.execute_local_activity("echo_{t}", "{k}", start_to_close_timeout=TEN))',
    "failing_local": """try:
    await workflow.execute_local_activity("fail_{t}", {k}, start_to_close_timeout=TEN, retry_policy=ONCE)
except ActivityError as error:
    self.log.append("local failed")""",
    "locals": """for one in await asyncio.gather(*(workflow.execute_local_activity("echo_{t}", str(i), start_to_close_timeout=TEN) for i in range({k}))):
    self.log.append(one)""",
    "mixed_locals": """first = workflow.start_local_activity("echo_{t}", "{k}", start_to_close_timeout=TEN)
second = workflow.start_activity("echo_{t}", "{k}", start_to_close_timeout=TEN)
await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
self.log.append(str(first.done()))
await asyncio.gather(first, second)""",
    "timer": "await asyncio.sleep(0.0{k})",
    "gathered": """for one in await asyncio.gather(*(workflow.execute_activity("echo_{t}", str(i), start_to_close_timeout=TEN) for i in range({k}))):
    self.log.append(one)""",
    "raced": """try:
    await asyncio.wait_for(workflow.execute_activity("slow", {k}, start_to_close_timeout=TEN, heartbeat_timeout=timedelta(seconds=1)), 0.05)
except (asyncio.TimeoutError, ActivityError) as error:
    self.log.append("late")""",
    "cancelled": """held = workflow.start_activity("slow", {k}, start_to_close_timeout=TEN, heartbeat_timeout=timedelta(seconds=1), cancellation_type=How.{how}, retry_policy=ONCE)
await asyncio.sleep(0.0{k})
held.cancel()
try:
    await held
except (asyncio.CancelledError, ActivityError):
    self.log.append("cancelled")""",
    "cancelled_at_once": """held = workflow.start_activity("echo_{t}", "{k}", start_to_close_timeout=TEN)
await asyncio.sleep(0)
held.cancel()
try:
    await held
except (asyncio.CancelledError, ActivityError):
    self.log.append("never sent")""",
    "cancelled_timer": """held = asyncio.create_task(asyncio.sleep(5))
await workflow.execute_activity("echo_{t}", "{k}", start_to_close_timeout=TEN)
held.cancel()""",
    "cancelled_local": """held = workflow.start_local_activity("slow", 1, start_to_close_timeout=TEN, cancellation_type=How.{how})
await asyncio.sleep(0)
held.cancel()
try:
    await held
except (asyncio.CancelledError, ActivityError):
    self.log.append("local cancelled")""",
    "child": 'self.log.append(await workflow.execute_child_workflow("Small", "{k}", id=workflow.info().workflow_id + "-c{n}"))',
    "derived_child": 'self.log.append(await workflow.execute_child_workflow("Small", "{k}"))',
    "failing_child": """try:
    await workflow.execute_child_workflow("Small", "fail", id=workflow.info().workflow_id + "-f{n}")
except ChildWorkflowError:
    self.log.append("child failed")""",
    "cancelled_child": """held = await workflow.start_child_workflow("Small", "wait", id=workflow.info().workflow_id + "-w{n}", cancellation_type=Child.{how2})
await asyncio.sleep(0.0{k})
held.cancel()
try:
    await held
except (asyncio.CancelledError, ChildWorkflowError):
    self.log.append("child cancelled")""",
    "signalled_child": """held = await workflow.start_child_workflow("Small", "signal", id=workflow.info().workflow_id + "-s{n}")
await held.signal("go", "{k}")
self.log.append(await held)""",
    "external": """try:
    await workflow.get_external_workflow_handle("nobody-{n}").signal("poke", "{k}")
except FailureError:
    self.log.append("nobody there")""",
    "external_cancel": """try:
    await workflow.get_external_workflow_handle("nobody-{n}").cancel()
except FailureError:
    self.log.append("nobody to cancel")""",
    "patch": """if workflow.patched("patch-{n}"):
    await workflow.execute_activity("echo_{t}", "new", start_to_close_timeout=TEN)
else:
    await asyncio.sleep(0.01)""",
    "deprecated": 'workflow.deprecate_patch("patch-{n}")',
    "memo": 'workflow.upsert_memo({{"note": "{k}"}})',
    "attributes": 'workflow.upsert_search_attributes({{"CustomKeywordField": ["{k}"]}})',
    "wait": """try:
    await workflow.wait_condition(lambda: self.signals >= {k}, timeout=timedelta(milliseconds=300))
except asyncio.TimeoutError:
    self.log.append("nobody poked")""",
    "random": "self.log.append(str(workflow.random().randint(0, 9)) + str(workflow.uuid4())[:4] + str(workflow.now().second))",
    "branch": """if workflow.random().random() < 0.5:
    await workflow.execute_activity("echo_{t}", "{k}", start_to_close_timeout=TEN)
else:
    await asyncio.sleep(0.01)""",
    "fails_once": 'fail_once(workflow.info().run_id + "-{n}")',
    "background": 'self.back{n} = workflow.start_activity("echo_{t}", "{k}", start_to_close_timeout=TEN)',
}
IN_HANDLERS = ("activity", "timer", "local", "random", "patch", "failing_activity", "gathered")
_HOW = ("TRY_CANCEL", "WAIT_CANCELLATION_COMPLETED", "ABANDON")
_HOW_CHILD = (*_HOW, "WAIT_CANCELLATION_REQUESTED")


@dataclass(frozen=True)
class Operation:
    """One line of a program, or a few that belong together."""

    kind: str
    number: int
    name: str = "a"
    size: int = 2
    how: int = 0

    def source(self, indent: int) -> str:
        text = OPERATIONS[self.kind].format(
            n=self.number, t=self.name, k=self.size, how=_HOW[self.how % 3], how2=_HOW_CHILD[self.how % 4]
        )
        return "\n".join(" " * indent + line for line in text.splitlines())


@dataclass(frozen=True)
class Program:
    """The operations of the run and of the handlers."""

    body: tuple[Operation, ...]
    handler: tuple[Operation, ...]

    def source(self) -> str:
        body = "\n".join(one.source(8) for one in self.body)
        handler = "\n".join(one.source(8) for one in self.handler) or "        pass"
        return HEAD.format(body=body, handler=handler)


def operation(chance: random.Random, number: int, kinds: tuple[str, ...] = tuple(OPERATIONS)) -> Operation:
    return Operation(chance.choice(kinds), number, chance.choice("ab"), chance.randint(1, 4), chance.randrange(12))


def program(seed: int) -> Program:
    chance = random.Random(seed)
    body = tuple(operation(chance, number) for number in range(chance.randint(2, 7)))
    handler = tuple(operation(chance, 50 + number, IN_HANDLERS) for number in range(chance.randint(0, 2)))
    return Program(body, handler)


def edited(source: Program, seed: int) -> Program:
    """A program after somebody has worked on it."""
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        source = chance.choice(_EDITS)(source, chance)
    return source


def _place(source: Program, chance: random.Random) -> int:
    return chance.randrange(len(source.body)) if source.body else 0


def _removed(source: Program, chance: random.Random) -> Program:
    at = _place(source, chance)
    return replace(source, body=source.body[:at] + source.body[at + 1 :])


def _added(source: Program, chance: random.Random) -> Program:
    at = _place(source, chance)
    return replace(source, body=(*source.body[:at], operation(chance, 80 + at), *source.body[at:]))


def _swapped(source: Program, chance: random.Random) -> Program:
    at = _place(source, chance)
    return replace(source, body=source.body[:at] + source.body[at : at + 2][::-1] + source.body[at + 2 :])


def _changed(source: Program, chance: random.Random) -> Program:
    at = _place(source, chance)
    if not source.body:
        return source
    old = source.body[at]
    new = chance.choice(
        (
            replace(old, name="b" if old.name == "a" else "a"),
            replace(old, size=old.size % 4 + 1),
            replace(old, how=old.how + 1),
            replace(old, number=old.number + 100),
            replace(old, kind=chance.choice(tuple(OPERATIONS))),
        )
    )
    return replace(source, body=(*source.body[:at], new, *source.body[at + 1 :]))


def _handler(source: Program, chance: random.Random) -> Program:
    if source.handler and chance.random() < 0.5:
        return replace(source, handler=source.handler[1:])
    return replace(source, handler=(*source.handler, operation(chance, 90, IN_HANDLERS)))


_EDITS = (_removed, _added, _swapped, _changed, _changed, _handler)
