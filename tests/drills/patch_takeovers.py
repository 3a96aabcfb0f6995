"""Patches and live workers: a worker records runs and stops, and one with edited code goes on with them.

Each run is started several times, once for each version of the code that takes it over. The histories of the first
copies, fetched in between, are what replaytool sees.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio import activity
from temporalio.api.history.v1 import History as HistoryMessage
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from replaytool.engines.temporal.sdk.quiet_runtime import get_silent_runtime
from tests.drills.patch_drill import CLASS, HEAD, History, PatchDrillCase, Truth

VERSIONS = {"present": "", "deprecated": "deprecated", "without": "removed"}
_RECORDED_BY = {"old": "before", "new": "introduced", "deprecated": "deprecated", "plain": "removed"}
_PATIENCE = 60.0
# A short pause between attempts: a held activity goes on soon after it is let go.
_LIVE_HEAD = HEAD.replace(
    "start_to_close_timeout=timedelta(seconds=10)",
    "start_to_close_timeout=timedelta(seconds=10), retry_policy=RetryPolicy(timedelta(milliseconds=300), 1.0)",
).replace(
    "from temporalio import workflow\n", "from temporalio import workflow\nfrom temporalio.common import RetryPolicy\n"
)


@dataclass
class _Held:
    """How many steps each run may still do."""

    left: dict[str, int] = field(default_factory=dict)

    @activity.defn(dynamic=True)
    async def do_step(self, _args: Sequence[RawValue]) -> str:
        info = activity.info()
        assert info.workflow_id is not None
        if not self.left[info.workflow_id]:
            raise RuntimeError("held")
        self.left[info.workflow_id] -= 1
        return info.activity_type


def write_live_source(case: PatchDrillCase, version: str) -> str:
    """Return the code of a version; `before` has never heard of the patch."""
    if version != "before":
        return _LIVE_HEAD + case.write_class(version)
    steps = "".join(f'        await step("{one}")\n' for one in case.list_steps("old"))
    return _LIVE_HEAD + CLASS.replace("{seed}", str(case.seed)) + steps + '        return "done"\n'


class LiveCase:
    """One case on a server."""

    def __init__(self, client: Client, case: PatchDrillCase, folder: Path) -> None:
        self.client, self.case, self.folder, self.held = client, case, folder, _Held()
        self.queue = f"patch-{case.seed}"

    async def find_truth(self) -> tuple[Truth, list[History]]:
        """Return what live workers do with the open runs, and the histories that they got."""
        handles = dict[tuple[int, str], WorkflowHandle[Any, Any]]()
        for way in sorted({self.case.runs[place].way for place in self.case.open_runs}):
            places = [place for place in self.case.open_runs if self.case.runs[place].way == way]
            async with self._working(_RECORDED_BY[way], way):
                for place in places:
                    for version in VERSIONS:
                        handles[place, version] = await self._start(place, version, way)
                for key in [key for key in handles if key[0] in places]:
                    await self._wait_until_held(handles[key], self.case.runs[key[0]].steps_done)
        histories = [await _fetch(handles[place, "present"]) for place in self.case.open_runs]
        proven = {}
        for version, written in VERSIONS.items():
            for place in self.case.open_runs:
                self.held.left[handles[place, version].id] = 100
            some = [handles[place, version] for place in self.case.open_runs]
            proven[version] = await self._take_over(written or self.case.state, some)
        return Truth(**proven), histories

    async def _start(self, place: int, version: str, way: str) -> WorkflowHandle[Any, Any]:
        name = f"{self.queue}-{place}-{version}"
        self.held.left[name] = self.case.runs[place].steps_done
        return await self.client.start_workflow(
            f"Flow{self.case.seed}", id=name, task_queue=f"{self.queue}-{version}",
            task_timeout=timedelta(seconds=4), execution_timeout=timedelta(seconds=300),
        )  # fmt: skip

    async def _take_over(self, written: str, handles: Sequence[WorkflowHandle[Any, Any]]) -> bool:
        """Return whether a worker with this code goes on with all of these runs."""
        if not handles:
            return True
        version = handles[0].id.rpartition("-")[2]
        async with self._working(written, f"takes_{version}", [version]):
            found = await asyncio.gather(*(_watch(one) for one in handles))
        for one in handles:
            with contextlib.suppress(Exception):
                await one.terminate()
        return all(found)

    async def _wait_until_held(self, handle: WorkflowHandle[Any, Any], steps_done: int) -> None:
        end = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < end:
            kinds = [event["eventType"] for event in (await _fetch(handle))["events"]]
            if kinds.count("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED") == steps_done + 1:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{handle.id} does not come to step {steps_done}")

    @contextlib.asynccontextmanager
    async def _working(self, version: str, name: str, queues: Sequence[str] = tuple(VERSIONS)) -> AsyncIterator[None]:
        """Serve the queues of these copies with one version of the code."""
        place = self.folder / f"live_{self.case.seed}_{name}.py"
        place.write_text(write_live_source(self.case, version))
        spec = importlib.util.spec_from_file_location(place.stem, place)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        async with contextlib.AsyncExitStack() as stack:
            for queue in queues:
                await stack.enter_async_context(
                    Worker(
                        self.client, task_queue=f"{self.queue}-{queue}", activities=[self.held.do_step],
                        workflows=[getattr(module, f"Flow{self.case.seed}")],
                        workflow_runner=UnsandboxedWorkflowRunner(), build_id=name,
                        sticky_queue_schedule_to_start_timeout=timedelta(milliseconds=500),
                        graceful_shutdown_timeout=timedelta(0),
                    )
                )  # fmt: skip
            yield


async def _watch(handle: WorkflowHandle[Any, Any]) -> bool:
    """Return whether the run comes to its end, and False for a task that failed."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while asyncio.get_running_loop().time() < end:
        events = (await _fetch(handle))["events"]
        if any(event["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED" for event in events):
            return True
        failed = [event for event in events if event["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_FAILED"]
        if failed:
            return False
        await asyncio.sleep(0.2)
    raise AssertionError(f"{handle.id} neither ends nor fails")


async def _fetch(handle: WorkflowHandle[Any, Any]) -> Mapping[str, Any]:
    events = [event async for event in handle.fetch_history_events()]
    found: Mapping[str, Any] = MessageToDict(HistoryMessage(events=events))
    return found


async def find_live_truths(
    address: str, cases: Sequence[PatchDrillCase], folder: Path, at_once: int = 4
) -> dict[int, tuple[Truth, list[History]]]:
    """Return for each case what live workers do, by its seed."""
    logging.getLogger("temporalio.activity").setLevel(logging.CRITICAL)
    client = await Client.connect(address, runtime=get_silent_runtime())
    free = asyncio.Semaphore(at_once)

    async def find_one(case: PatchDrillCase) -> tuple[Truth, list[History]]:
        async with free:
            return await LiveCase(client, case, folder).find_truth()

    found = await asyncio.gather(*(find_one(case) for case in cases))
    return {case.seed: one for case, one in zip(cases, found, strict=True)}
