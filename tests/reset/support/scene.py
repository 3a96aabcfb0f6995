"""One scenario on the server of a test module: a machine led by builds, its histories loaded, a plan, an apply."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from replaytool import ingest
from replaytool.engines.temporal.server.pull import pull_histories
from replaytool.model.pull_options import PullOptions
from replaytool.model.reset_case import ResetRule
from replaytool.model.reset_plan import ResetItem, ResetPlan, plan_to_text, read_plan
from replaytool.model.server_options import ServerOptions
from replaytool.reset import planner
from replaytool.reset import server_checks as online
from replaytool.reset.apply import ApplyResult, ApplySettings, apply_plan
from replaytool.reset.selection import RunSelection
from replaytool.reset.verify import VerifiedItem, verify_plan
from replaytool.store import Store
from tests.reset.support import machine
from tests.reset.support.riders import Handle, rest, worker
from tests.support.dev_server import DevServer

PINNED = VersioningBehavior.PINNED


@dataclass
class Scene:
    """The scenario's name is its task queue and the beginning of its workflow ids."""

    name: str
    server: DevServer
    folder: Path
    client: Client
    handles: list[Handle] = field(default_factory=list)

    @property
    def options(self) -> ServerOptions:
        return ServerOptions(address=self.server.address)

    @property
    def plan_file(self) -> Path:
        return self.folder / "plan.json"

    def build(self, name: str) -> Worker:
        """A worker of a build that has no deployment."""
        return worker(self.client, sys.modules[machine.__name__], queue=self.name, build_id=name)

    def version(self, name: str) -> Worker:
        """A worker of a version of a deployment."""
        version = WorkerDeploymentVersion(deployment_name=self.name, build_id=name)
        config = WorkerDeploymentConfig(version, use_worker_versioning=True, default_versioning_behavior=PINNED)
        return worker(self.client, sys.modules[machine.__name__], queue=self.name, deployment_config=config)

    async def start(self, suffix: str = "1") -> Handle:
        """A machine that has done nothing yet, whatever run of it is the newest."""
        name = f"{self.name}-{suffix}"
        await self.client.start_workflow("Machine", args=[[]], id=name, task_queue=self.name)
        handle = self.client.get_workflow_handle(name)
        self.handles.append(handle)
        await rest([handle], kinds=1)
        return handle

    async def do(self, handle: Handle, *steps: str) -> None:
        """Steps as WHAT or WHAT:NAME, one after the other."""
        for one in steps:
            what, _, name = one.partition(":")
            await handle.signal("do", args=[what, name])
            await rest([handle], kinds=1)

    async def pull(self, store: str = "runs.duckdb") -> Store:
        """All runs of this scenario's workflows, as they are now."""
        return await asyncio.to_thread(self._pull, store)

    def _pull(self, name: str) -> Store:
        store = Store(self.folder / name)
        for handle in self.handles:
            options = PullOptions(self.options, query=f"WorkflowId = '{handle.id}'")
            assert not ingest.load_into_store(store, pull_histories(options)).bad
        return store

    async def plan(
        self, rule: ResetRule | None = None, *, include: bool = False, offline: bool = False, store: Store | None = None
    ) -> ResetPlan:
        """Pull, plan and write the plan."""
        store = store or await self.pull()
        rule = rule or ResetRule("build", "v2")
        choice = RunSelection(build=rule.value if rule.kind == "build" else None)
        named = frozenset(handle.id for handle in self.handles) if include else frozenset[str]()
        made = planner.draft_plan(store, planner.PlanRequest(rule, choice, named))
        plan = (
            planner.finish_plan(made)
            if offline
            else await asyncio.to_thread(online.plan_with_server, made, self.options)
        )
        self.plan_file.write_text(plan_to_text(plan))
        return read_plan(self.plan_file)

    async def apply(self, plan: ResetPlan, **settings: Any) -> ApplyResult:
        """Apply without asking."""
        given = replace(ApplySettings(server=self.options, rps=0, settle=0.5), **settings)
        applied = await asyncio.to_thread(apply_plan, self.plan_file, plan, given, lambda ready: True)
        assert applied is not None
        return applied

    async def verify(self, plan: ResetPlan) -> list[VerifiedItem]:
        return await asyncio.to_thread(verify_plan, self.plan_file, plan, self.options)


def codes(item: ResetItem, *levels: str) -> set[str]:
    """The codes of an item's warnings of these levels."""
    return {one.code for one in item.warnings if one.level in (levels or ("block", "warn"))}


def run(scenario: Callable[..., Any], name: str, server: DevServer, folder: Path) -> None:
    """Play a scenario."""

    async def play() -> None:
        await scenario(Scene(name, server, folder, await Client.connect(server.address)))

    asyncio.run(play())
