"""Random programs run on a real dev server, by workers that are killed and started again while they work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from temporalio.api.history.v1 import History
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from tests.drills.programs.steps import RECORDING
from tests.drills.programs.writing import program
from tests.support.dev_server import dev_server
from tests.support.paths import ROOT

AT_ONCE = 30
KILLED_AFTER = (0.7, 2.5)


def record(seeds: range, folder: Path) -> None:
    """Write one JSON file per program: the seed, the workflow id, the events."""
    todo = [seed for seed in seeds if not (folder / f"p{seed:05}.json").exists()]
    for start in range(0, len(todo), AT_ONCE):
        batch = todo[start : start + AT_ONCE]
        code = folder / f"code{start}"
        code.mkdir(parents=True, exist_ok=True)
        for seed in batch:
            (code / f"p{seed:05}.py").write_text(program(seed).source())
        with dev_server("--search-attribute", "CustomKeywordField=Keyword") as server:
            asyncio.run(_record(server.address, code, batch, folder))


def hide_machine(text: str) -> str:
    """The record without the machine that made it: neither its folders nor its name say anything about a replay."""
    text = re.sub(r"/(?:[\w.+-]+/)+([\w-]+\.py)", r"\1", text)
    return re.sub(rf"\b\d+@{re.escape(socket.gethostname())}\b", "worker@recorded", text)


async def _record(address: str, code: Path, seeds: list[int], folder: Path) -> None:
    client = await Client.connect(address)
    keeping = asyncio.create_task(_keep_working(address, code, random.Random(seeds[0])))
    try:
        await asyncio.gather(*(_one(client, seed, folder) for seed in seeds))
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _keep_working(address: str, code: Path, chance: random.Random) -> None:
    """Workers one after the other, most of them killed in the middle of something; some keep nothing in memory."""
    environment = {**os.environ, RECORDING: "1", "PYTHONPATH": str(ROOT)}
    while True:
        caches = str(chance.choice((0, 100, 100)))
        command = [sys.executable, "-m", "tests.drills.programs.steps", address, str(code), caches]
        with _process(command, environment) as process:
            await asyncio.sleep(chance.uniform(*KILLED_AFTER) + 1.5)
            process.kill()


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _one(client: Client, seed: int, folder: Path) -> None:
    chance = random.Random(seed * 7 + 1)
    workflow_id = f"drill-{seed}"
    handle = await client.start_workflow(
        "Program", seed, id=workflow_id, task_queue=f"p{seed:05}", task_timeout=timedelta(seconds=2),
        execution_timeout=timedelta(seconds=40),
    )  # fmt: skip
    for _ in range(chance.randint(1, 6)):
        await asyncio.sleep(chance.uniform(0.02, 0.9))
        with contextlib.suppress(RPCError, TemporalError, asyncio.TimeoutError):
            await asyncio.wait_for(_disturb(handle, chance), 4)
    with contextlib.suppress(RPCError):
        if chance.random() < 0.15:
            await handle.cancel()
        elif chance.random() < 0.9:
            await handle.signal("finish")
    with contextlib.suppress(
        Exception
    ):  # it may fail, be cancelled, or take longer than we wait: all of it is recorded
        await asyncio.wait_for(handle.result(), 20 if chance.random() < 0.9 else 1)
    text = json.dumps(await _recorded(handle, seed), separators=(",", ":"))
    (folder / f"p{seed:05}.json").write_text(hide_machine(text))


async def _disturb(handle: WorkflowHandle[object, object], chance: random.Random) -> None:
    what = chance.random()
    if what < 0.4:
        await handle.signal("poke", f"s{chance.randint(0, 9)}")
    elif what < 0.75:
        await handle.execute_update("change", f"u{chance.randint(0, 9)}")
    elif what < 0.9:
        await handle.execute_update("change", "bad one")
    else:
        await handle.query("seen")


async def _recorded(handle: WorkflowHandle[object, object], seed: int) -> dict[str, object]:
    events = [event async for event in handle.fetch_history_events()]
    return {"seed": seed, "workflowId": handle.id, **MessageToDict(History(events=events))}


if __name__ == "__main__":
    record(range(int(sys.argv[1]), int(sys.argv[2])), Path(sys.argv[3]))
