"""How fast resets are planned, and how near applying them comes to bare calls: `python -m benchmarks.reset`.

Planning is measured on histories of about 60 events in a store, from the histories alone and with a simulation of each
workflow in one child process; processor time is told beside it, for machines that do something else too. Applying is
measured on a dev server without a worker, so that the server does the same for each call: some of the workflows are
reset by bare RPC calls at the same concurrency, some by a script that looks at the newest run before each call, as
whoever is careful does, and some by a plan, in turns, so that a server that gets slower with time is so for all. Where
the system can do it, the server has a processor of its own, as it would on its own machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from benchmarks import replayable_histories as replayable
from benchmarks import synthetic_histories as histories
from replaytool import ingest
from replaytool.engines import CodeSpec
from replaytool.engines.temporal.server.pull import pull_histories
from replaytool.model.pull_options import PullOptions
from replaytool.model.reset_case import ResetRule
from replaytool.model.reset_plan import ResetPlan, plan_to_text, read_plan, seal_plan, sum_totals
from replaytool.model.server_options import ServerOptions
from replaytool.reset import planner
from replaytool.reset.apply import ApplySettings, apply_plan
from replaytool.reset.selection import RunSelection
from replaytool.reset.simulate_plan import PlanSimulationRequest, simulate_draft
from replaytool.sources import open_sources
from replaytool.store import Store
from replaytool.workers.pool import WorkerLimits
from tests.reset.support.riders import at_rest, history, loyalty, until
from tests.support.dev_server import DevServer, dev_server

CONCURRENCY = 10
SHAPE = histories.Shape(steps=9)


def planning(folder: Path, number: int) -> dict[str, Any]:
    """Plan for so many workflows: workflows per second, and events of each."""
    for seed in range(number):
        (folder / f"run-{seed}.json").write_text(histories.history(seed, SHAPE))
    store = Store(folder / "runs.duckdb")
    ingest.load_into_store(store, open_sources([str(folder)], None))
    rows = store.query_rows("SELECT count(*) AS runs, avg(event_count) AS events FROM runs")
    started = time.perf_counter()
    plan = planner.finish_plan(planner.draft_plan(store, planner.PlanRequest(ResetRule("last_task"), RunSelection())))
    plan_to_text(plan)
    seconds = time.perf_counter() - started
    return {"workflows": len(plan.items), "events": rows[0]["events"], "per_second": round(len(plan.items) / seconds)}


def simulating(folder: Path, number: int) -> dict[str, Any]:
    """Plan with a simulation of each workflow from the middle of its history: workflows per second and core."""
    (folder / "workflows.py").write_text(replayable.WORKFLOWS)
    for seed in range(number):
        text = replayable.history("Steps", 9, seed).replace('"workflowId":"bench"', f'"workflowId":"bench-{seed}"')
        (folder / f"steps-{seed}.json").write_text(text)
    store = Store(folder / "steps.duckdb")
    ingest.load_into_store(store, open_sources([str(folder / "steps-*.json")], None))
    rows = store.query_rows("SELECT count(*) AS runs, avg(event_count) AS events FROM runs")
    wanted = PlanSimulationRequest(CodeSpec(("workflows.py",), folder=str(folder)), limits=WorkerLimits(jobs=1))
    before, started = os.times(), time.perf_counter()
    made = planner.draft_plan(store, planner.PlanRequest(ResetRule("event", "30")))
    plan = planner.finish_plan(simulate_draft(store, made, wanted))
    plan_to_text(plan)
    seconds, after = time.perf_counter() - started, os.times()
    busy = sum(after[:4]) - sum(before[:4])
    assert all(item.simulation and item.simulation["stopped"] is None for item in plan.items)
    return {
        "workflows": len(plan.items),
        "events": rows[0]["events"],
        "per_second": round(len(plan.items) / seconds),
        "per_processor_second": round(len(plan.items) / busy),
    }


async def _riders(server: DevServer, number: int) -> list[str]:
    """Workflows with something behind them, and no worker any more."""
    client = await Client.connect(server.address)
    names = [f"bench-{uuid.uuid4().hex[:6]}-{index:04}" for index in range(number)]
    async with loyalty(client, "v1"):
        for name in names:
            await client.start_workflow("Loyalty", args=[name, {}], id=name, task_queue="riders")

        async def all_rest() -> bool:
            return all([at_rest(await history(client.get_workflow_handle(name))) for name in names])

        await until(all_rest, "all riders to rest", 120)
    return names


async def _called(server: DevServer, runs: Sequence[tuple[str, str, int]], *, looks: bool) -> float:
    """Resets per second by nothing but the call, or by a look at the newest run and the call."""
    client = await Client.connect(server.address)
    waiting = iter(runs)

    async def worker() -> None:
        for workflow_id, run_id, event_id in waiting:
            if looks:
                found = await client.get_workflow_handle(workflow_id).describe()
                assert found.run_id == run_id
            request = ResetWorkflowExecutionRequest(
                namespace="default",
                reason="bare",
                workflow_task_finish_event_id=event_id,
                request_id=str(uuid.uuid4()),
            )
            request.workflow_execution.workflow_id, request.workflow_execution.run_id = workflow_id, run_id
            await client.workflow_service.reset_workflow_execution(request, timeout=timedelta(seconds=30))

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return len(runs) / (time.perf_counter() - started)


def _applied(folder: Path, plan: ResetPlan, server: DevServer) -> float:
    """Resets per second by a plan, with all that makes it safe."""
    path = folder / f"plan-{plan.plan_id}.json"
    path.write_text(plan_to_text(plan))
    settings = ApplySettings(server=ServerOptions(address=server.address), rps=0, concurrency=CONCURRENCY)
    begun: list[float] = []

    def confirmed(_: object) -> bool:
        begun.append(time.perf_counter())
        return True

    applied = apply_plan(path, read_plan(path), settings, confirmed)
    seconds = time.perf_counter() - begun[0]
    assert applied is not None
    assert applied.is_clean, applied
    return len(plan.items) / seconds


@contextmanager
def _apart() -> Iterator[DevServer]:
    """A server that does not share its processor with those who call it."""
    ours: set[int] = getattr(os, "sched_getaffinity", lambda _: set())(0)
    if len(ours) < 2:
        with dev_server() as server:
            yield server
        return
    first = min(ours)
    os.sched_setaffinity(0, {first})
    try:
        with dev_server() as server:
            os.sched_setaffinity(0, ours - {first})
            yield server
    finally:
        os.sched_setaffinity(0, ours)


def applying(folder: Path, number: int, rounds: int) -> dict[str, Any]:
    """All three, in turns: the rates, and their quotients."""
    rates: dict[str, list[float]] = {"bare": [], "careful": [], "apply": []}
    turns = ["bare", "careful", "apply", "apply", "careful", "bare"] * rounds
    with _apart() as server:
        names = asyncio.run(_riders(server, number * len(turns)))
        store = Store(folder / "server.duckdb")
        ingest.load_into_store(store, pull_histories(PullOptions(ServerOptions(address=server.address))))
        whole = planner.finish_plan(
            planner.draft_plan(store, planner.PlanRequest(ResetRule("last_task"), RunSelection()))
        )
        by_name = {item.workflow_id: item for item in whole.items}
        for turn, how in enumerate(turns):
            items = [by_name[name] for name in names[turn * number : (turn + 1) * number]]
            if how == "apply":
                plan = seal_plan(replace(whole, items=items, totals=sum_totals(items)))
                rates[how].append(_applied(folder, plan, server))
            else:
                runs = [(item.workflow_id, item.run_id, item.point.event_id) for item in items]
                rates[how].append(asyncio.run(_called(server, runs, looks=how == "careful")))
    mean = {how: statistics.mean(found) for how, found in rates.items()}
    return {
        "per_second": {how: [round(one, 1) for one in found] for how, found in rates.items()},
        "apply_by_bare": round(mean["apply"] / mean["bare"], 3),
        "apply_by_careful": round(mean["apply"] / mean["careful"], 3),
    }


def main(number: int = 200, rounds: int = 1) -> None:
    """Measure, and print one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        runs, server = Path(folder, "runs"), Path(folder, "server")
        runs.mkdir()
        server.mkdir()
        steps = Path(folder, "steps")
        steps.mkdir()
        found = {"planning": planning(runs, 1000), "simulating": simulating(steps, 1000)}
        found |= {"applying": applying(server, number, rounds)}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*(int(one) for one in sys.argv[1:3]))
