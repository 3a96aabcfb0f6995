"""Each trap on a real server: the plan warns before, and what it predicted is what the server then does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentVersion as Version
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    SetWorkerDeploymentCurrentVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import WorkflowExecutionStatus as Status
from temporalio.service import RPCError

from replaytool.engines.temporal.reset.hazards import HAZARDS
from replaytool.engines.temporal.reset.server_calls import ResetClient
from replaytool.model.reset_case import ResetRule
from replaytool.model.reset_server import ResetSettings
from replaytool.reset.points import list_reset_points
from tests.reset.support.riders import Handle, count, history, rest, until
from tests.reset.support.scene import Scene, codes, run
from tests.support.dev_server import DevServer, dev_server
from tests.support.paths import ROOT

pytestmark = pytest.mark.server
Scenario = Callable[[Scene], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with dev_server() as started:
        yield started


@scenario
async def child_with_a_fixed_id(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "fixed:only-child")
    assert (await scene.plan()).items[0].included is False
    plan = await scene.plan(include=True)
    assert codes(plan.items[0], "block") == {"child-fixed-id"}
    async with scene.build("v3"):
        assert (await scene.apply(plan)).is_clean
        await until(lambda: has_status(handle, Status.FAILED), "the parent to fail, as the plan said")
        assert await has_status(scene.client.get_workflow_handle("only-child"), Status.RUNNING)
        assert any("Failed" in text for one in await scene.verify(plan) for text in one.differences)


@scenario
async def child_with_a_random_id(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "later:b")
        await until(lambda: has_events(handle, "CHILD_WORKFLOW_EXECUTION_STARTED"), "the child to start")
    plan = await scene.plan(include=True)
    (item,) = plan.items
    assert codes(item, "block") == {"child-random-id"}
    first = item.children_again[0]
    assert (first.random_id, first.state) == (True, "Running")
    async with scene.build("v3"):
        await scene.apply(plan)
        await until(lambda: has_events(handle, "CHILD_WORKFLOW_EXECUTION_STARTED"), "a second child to start")
        second = [one for one in await history(handle) if count([one], "CHILD_WORKFLOW_EXECUTION_STARTED")]
        started = second[0].child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
        assert started != first.workflow_id
        assert await has_status(scene.client.get_workflow_handle(first.workflow_id), Status.RUNNING)


@scenario
async def child_with_a_random_id_started_by_a_signal(scene: Scene) -> None:
    """The new numbers come behind the signal: the id is the same again, and taken."""
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "random")
        await until(lambda: has_events(handle, "CHILD_WORKFLOW_EXECUTION_STARTED"), "the child to start")
    plan = await scene.plan(include=True)
    (blocking,) = [one for one in plan.items[0].warnings if one.level == "block"]
    assert "same ID" in blocking.message
    async with scene.build("v3"):
        await scene.apply(plan)
        await until(lambda: has_status(handle, Status.FAILED), "the parent to fail, as the plan said")


@scenario
async def child_under_way_at_the_point(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await handle.signal("do", args=["fixed", "child-under-way"])
        await until(lambda: has_events(handle, "CHILD_WORKFLOW_EXECUTION_STARTED"), "the child to start")
        await rest([handle], kinds=1)
    async with scene.build("v2"):
        await handle.signal("do", args=["step", "b"])
        await until(lambda: has_events(handle, "ACTIVITY_TASK_COMPLETED"), "the step")
        await rest([handle], kinds=1)
    plan = await scene.plan()
    (item,) = plan.items
    assert item.included
    assert codes(item, "note") >= {"child-pending"}
    async with scene.build("v3"):
        assert (await scene.apply(plan)).is_clean
        await scene.client.get_workflow_handle("child-under-way").terminate()
        await until(lambda: has_events(handle, "CHILD_WORKFLOW_EXECUTION_TERMINATED"), "the new run to be told")


@scenario
async def cancel_request_lost(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "step:b")
        await handle.cancel()
        await until(lambda: told(handle, ["a", "b", "cancelled"]), "the cancel request to be handled")
        await rest([handle])
    plan = await scene.plan(include=True)
    assert codes(plan.items[0], "block") == {"cancel-lost"}
    async with scene.build("v3"):
        await scene.apply(plan)
        await until(lambda: told(handle, ["a", "b"]), "the new run to go on without it")
        assert not await has_events(handle, "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
        assert [one.differences for one in await scene.verify(plan)] == [()]


@scenario
async def queue_lost_over_continue_as_new(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "step:b", "again", "step:c", "step:d")
        assert await told(handle, ["a", "b", "c", "d"])
    plan = await scene.plan()
    (item,) = plan.items
    assert codes(item) - {"bad-poller-alive"} == {"continued-as-new", "queue-lost"}
    assert (len(item.undone_runs), item.reapplied["signals"]) == (1, 3)
    assert "2 signals" in next(one.message for one in item.warnings if one.code == "queue-lost")
    async with scene.build("v3"):
        assert (await scene.apply(plan)).is_clean
        await until(lambda: told(handle, ["a", "b"]), "the two later steps to be lost, as the plan said")


@scenario
async def point_in_an_earlier_run(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a", "again", "step:b")
    async with scene.build("v2"):
        await scene.do(handle, "step:c")
    async with scene.build("v3"):
        await scene.do(handle, "again", "step:d")
    last = (await handle.describe()).run_id
    plan = await scene.plan()
    (item,) = plan.items
    assert (item.current_run_id, item.undone_runs) == (last, [last])
    assert item.run_id != last
    async with scene.build("v3"):
        assert (await scene.apply(plan)).is_clean
        await rest([handle])
        assert await has_status(scene.client.get_workflow_handle(handle.id, run_id=last), Status.TERMINATED)
        base = scene.client.get_workflow_handle(handle.id, run_id=item.run_id)
        assert await has_status(base, Status.CONTINUED_AS_NEW)
        assert [one.differences for one in await scene.verify(plan)] == [()]


@scenario
async def base_already_reset(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "step:b")
    old = await scene.pull("old.duckdb")
    plan = await scene.plan(offline=True)
    async with scene.build("v3"):
        assert (await scene.apply(plan)).is_clean
        await rest([handle])
    new_run = (await handle.describe()).run_id
    stale = await scene.plan(store=old)
    assert codes(stale.items[0], "block") == {"newer-run"}
    again = await scene.plan(ResetRule("before_activity", "step"), store=old, offline=True)
    applied = await scene.apply(again)
    assert [one.state for one in applied.outcomes] == ["refused"]
    assert (await handle.describe()).run_id == new_run
    fresh = await scene.plan()
    assert fresh.items == []
    assert "was reset already" in fresh.skipped[0].reason


@scenario
async def bad_poller_alive(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "step:b")
        plan = await scene.plan()
        assert [one.code for one in plan.warnings] == ["bad-poller-alive"]
        assert "bad-poller-alive" in codes(plan.items[0])
        applied = await scene.apply(plan, canary=1)
    assert applied.stopped is not None
    assert "bad build v2" in applied.stopped
    assert any("bad build v2" in text for one in await scene.verify(plan) for text in one.differences)


@scenario
async def twenty_five_builds(scene: Scene) -> None:
    builds = [f"b{number:02}" for number in range(25)]
    handle: Handle | None = None
    for name in builds:
        async with scene.build(name):
            handle = handle or await scene.start()
            await scene.do(handle, f"step:{name}")
    assert handle is not None
    plan = await scene.plan(ResetRule("build", "b01"))
    (item,) = plan.items
    assert item.server is not None
    assert item.server["point"] is None
    assert "newest 20" in item.server["differs"]
    assert item.repeats == {"step": 24}
    async with scene.build("b25"):
        assert (await scene.apply(plan)).is_clean
        await until(lambda: told(handle, builds), "all steps to be done again")


@scenario
async def build_that_came_back(scene: Scene) -> None:
    handle: Handle | None = None
    for number, name in enumerate(("v1", "v2", "v1", "v2")):
        async with scene.build(name):
            handle = handle or await scene.start()
            await scene.do(handle, f"step:{number}")
    first, second = await scene.plan(), await scene.plan(ResetRule("build", "v2", 2))
    assert codes(first.items[0], "note") >= {"build-came-back"}
    assert first.items[0].server is not None
    assert first.items[0].server["differs"] is None
    assert second.items[0].server is not None
    assert "first entry" in second.items[0].server["differs"]
    assert second.items[0].point.event_id > first.items[0].point.event_id
    async with scene.build("v3"):
        assert (await scene.apply(second)).is_clean
        await rest([handle] if handle else [])
        assert [one.differences for one in await scene.verify(second)] == [()]


@scenario
async def closed_run(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "step:b")
        await handle.signal("do", args=["close", ""])
        await until(lambda: has_status(handle, Status.COMPLETED), "it to close")
    plan = await scene.plan()
    assert codes(plan.items[0]) >= {"closed-run"}
    async with scene.build("v3"):
        assert (await scene.apply(plan)).is_clean
        await until(lambda: has_status(handle, Status.COMPLETED), "the signal to close it to come back")
    base = scene.client.get_workflow_handle(handle.id, run_id=plan.items[0].run_id)
    assert await has_status(base, Status.COMPLETED)


@scenario
async def override_to_the_bad_build(scene: Scene) -> None:
    async with scene.version("v1"), scene.version("v2"), scene.version("v3"):
        await make_current(scene, "v1")
        handles = [await scene.start("1"), await scene.start("2")]
        for handle in handles:
            await scene.do(handle, "step:a")
            await pin(scene, handle, "v2")
            await scene.do(handle, "step:b")
        await make_current(scene, "v3")
        plan = await scene.plan()
        assert [codes(item, "block") for item in plan.items] == [{"override-to-bad-build"}] * 2
        only = await scene.plan(include=True)
        applied = await scene.apply(only)
        assert applied.is_clean
        await rest(handles)
        assert all("bad build v2" in one.differences[0] for one in await scene.verify(only))
        again = await scene.plan()
        assert {one.code for item in again.items for one in item.warnings if one.level == "block"} == {
            "override-to-bad-build"
        }
        pinned = await scene.apply(again, how=ResetSettings(pin=(scene.name, "v3")))
        assert (pinned.is_clean, len(pinned.outcomes)) == (True, 2)
        await rest(handles)
        found = await scene.verify(again)
        assert [(one.differences, one.task.build_id if one.task else None) for one in found] == [((), "v3")] * 2


@scenario
async def updates_and_signals_left_out(scene: Scene) -> None:
    async with scene.build("v1"):
        handle = await scene.start()
        await scene.do(handle, "step:a")
    async with scene.build("v2"):
        await scene.do(handle, "step:b")
    plan = await scene.plan()
    async with scene.build("v3"):
        # The signal that brought the task stays, since it was there before the task.
        assert plan.items[0].reapplied["signals"] == 0
        await scene.do(handle, "step:c")
        grown = await scene.apply(plan, how=ResetSettings(exclude=("signals",)))
        assert grown.is_clean
        await until(lambda: told(handle, ["a", "b"]), "step c to be left out")
        (found,) = await scene.verify(plan)
        assert (found.differences, found.reapplied) == ((), {})


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_plan_says_what_the_server_then_does(name: str, server: DevServer, tmp_path: Path) -> None:
    run(SCENARIOS[name], name.replace("_", "-"), server, tmp_path)


def test_offline_points_are_the_servers_points(server: DevServer, tmp_path: Path) -> None:
    """After all scenarios: every point that the server has for a run, the history has too, as a first entry."""

    async def compared(scene: Scene) -> None:
        asked = await ResetClient.connect_to_server(scene.options)
        seen = 0
        async for info in scene.client.list_workflows():
            described = await asked.describe_run(info.id, info.run_id)
            assert described is not None
            found = await asked.fetch_run_facts(info.id, info.run_id)
            ours = {(one.build_id, one.event_id) for one in list_reset_points(found) if one.ordinal == 1}
            theirs = {(one.build_id, one.event_id) for one in described.points if one.run_id == info.run_id}
            # The run that was reset counts what is in its new run only from the reset on.
            assert theirs <= ours, (info.id, theirs - ours)
            seen += len(theirs)
        assert seen > 10

    run(compared, "compared", server, tmp_path)


def test_every_trap_has_a_page() -> None:
    page = (ROOT / "docs" / "reset.md").read_text()
    assert [code for code in HAZARDS if f"`{code}`" not in page] == []


async def has_status(handle: Handle, status: Status) -> bool:
    return (await handle.describe()).status == status


async def has_events(handle: Handle, name: str) -> bool:
    return count(await history(handle), name) > 0


async def told(handle: Handle, expected: list[str]) -> bool:
    found: list[str] = await handle.query("told")
    return found == expected


async def make_current(scene: Scene, build: str) -> None:
    """Route to the build, as soon as the server has heard of its worker."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace="default", deployment_name=scene.name, build_id=build, identity="tests"
    )
    await until(lambda: accepted(scene.client.workflow_service.set_worker_deployment_current_version, request), build)


async def pin(scene: Scene, handle: Handle, build: str) -> None:
    pinned = VersioningOverride.PinnedOverride(
        version=Version(deployment_name=scene.name, build_id=build),
        behavior=VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED,
    )
    request = UpdateWorkflowExecutionOptionsRequest(
        namespace="default",
        workflow_execution=WorkflowExecution(workflow_id=handle.id),
        workflow_execution_options=WorkflowExecutionOptions(versioning_override=VersioningOverride(pinned=pinned)),
        update_mask=FieldMask(paths=["versioning_override"]),
        identity="tests",
    )
    await until(lambda: accepted(scene.client.workflow_service.update_workflow_execution_options, request), build)


async def accepted(call: Any, request: Any) -> bool:
    try:
        await call(request)
    except RPCError:
        return False
    return True
