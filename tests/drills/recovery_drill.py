"""The recovery drill: riders corrupted by build v2, brought back on a real server, whatever is killed meanwhile.

`python -m tests.drills.recovery_drill` runs it in full, and so does `pytest -m drill`; a short form is part of
the ordinary tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from tests.reset.support.riders import LOYALTY, Handle, history, join, loyalty, replaytool, rest, until
from tests.support.dev_server import DevServer, _free_port, _plain_environment, _wait, executable

STEPS = dict[str, list[tuple[str, int]]]
KINDS: dict[str, STEPS] = {
    "plain": {"v1": [("trip", 3), ("trip", 4)], "v2": [("trip", 5), ("trip", 6)], "v3": [("trip", 7)]},
    "update": {"v1": [("trip", 3), ("adjust", 100)], "v2": [("trip", 5), ("adjust", 20)]},
    "timer": {"v1": [("trip", 8), ("pause", 1)], "v2": [("trip", 2), ("pause", 1), ("trip", 3)]},
    "child": {"v1": [("trip", 9), ("redeem", 0)], "v2": [("trip", 1)], "v3": [("trip", 2)]},
    "season": {"v1": [("trip", 5)], "v2": [("trip", 5), ("new_season", 0)]},
    "late": {"v2": [("trip", 5), ("trip", 6), ("trip", 7)]},
    "idle": {"v1": [("trip", 5), ("trip", 1)], "v3": [("trip", 2)]},
    "left": {"v1": [("trip", 4), ("trip", 6), ("leave", 0)]},
}
CODE = ("--workflows", str(LOYALTY / "builds" / "v3.py"))
PATIENCE = 400
"""What a busy machine may need to work off what has gathered while the server was away."""
TOUCHED = ("plain", "update", "timer", "child", "season", "late")


@dataclass
class Rider:
    """One rider, and all that was sent to it."""

    name: str
    kind: str
    handle: Handle | None = None
    sent: list[tuple[str, int]] = field(default_factory=list)
    unsure: set[int] = field(default_factory=set)
    """Trips of which nobody knows whether the server took them."""

    def right(self) -> tuple[int, Counter[int]]:
        """What a right programme makes of it."""
        trips = Counter(number for what, number in self.sent if what == "trip")
        added = sum(number for what, number in self.sent if what == "adjust")
        return sum(10 * km * times for km, times in trips.items()) + added, trips


@contextlib.asynccontextmanager
async def restartable(folder: Path) -> AsyncIterator[Restartable]:
    """A server that keeps its data when it is killed."""
    server = Restartable(folder)
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        server.kill()


class Restartable:
    """A dev server with its database in a file."""

    def __init__(self, folder: Path) -> None:
        self.at = DevServer(f"127.0.0.1:{_free_port()}", executable())
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        port = self.at.address.rpartition(":")[2]
        command = [self.at.executable, "server", "start-dev", "--headless", "--log-level", "never", "--ip", "127.0.0.1"]
        command += ["--port", port, "--db-filename", str(self._folder / "server.db")]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, env=_plain_environment(), **quiet)
        _wait(self._process, self.at)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


async def populate(client: Client, number: int) -> list[Rider]:
    """Riders of all kinds, led through v1 and v2; v3 has begun when this returns."""
    kinds = list(KINDS)
    riders = [
        Rider(f"rider-{index:03}-{kinds[index % len(kinds)]}", kinds[index % len(kinds)]) for index in range(number)
    ]
    for name in ("v1", "v2"):
        async with loyalty(client, name):
            await _phase(client, riders, name)
    return riders


async def _phase(client: Client, riders: list[Rider], name: str) -> None:
    gate = asyncio.Semaphore(10)

    async def lead(rider: Rider) -> None:
        steps = KINDS[rider.kind].get(name, [])
        if not steps:
            return
        async with gate:
            rider.handle = rider.handle or await join(client, rider.name)
            for what, number in steps:
                await send(rider, what, number)
                await rest([rider.handle])

    await asyncio.gather(*(lead(rider) for rider in riders))


async def send(rider: Rider, what: str, number: int) -> None:
    assert rider.handle is not None
    if what == "adjust":
        await rider.handle.execute_update("adjust", number, id=f"adjust-{number}")
    else:
        await rider.handle.signal(what, *([number] if number else []))
    rider.sent.append((what, number))


async def standing(rider: Rider) -> tuple[int, Counter[int]]:
    assert rider.handle is not None
    found = await rider.handle.query("standing")
    return found["points"], Counter(found["trips"])


async def assert_right(riders: list[Rider]) -> None:
    """Each rider has what a right programme would have given; trips that nobody is sure of may be there."""
    for rider in riders:
        await until(functools.partial(_is_right, rider), f"{rider.name} to be right", PATIENCE)


async def _is_right(rider: Rider) -> bool:
    points, trips = await standing(rider)
    expected_points, expected = rider.right()
    more = trips - expected
    return (
        not (expected - trips) and set(more) <= rider.unsure and points == expected_points + 10 * sum(more.elements())
    )


async def _assert_as_simulated(riders: list[Rider], plan: dict[str, Any]) -> None:
    """Each rider is where the simulation said: asked of a worker, and not of replaytool."""
    foreseen = {item["workflow_id"]: item["simulation"] for item in plan["items"]}
    for rider in riders:
        points, trips = await standing(rider)
        simulation = foreseen[rider.name]
        assert simulation["stopped"] is None, rider
        assert simulation["queries"]["standing"]["points"] == simulation["state"]["points"] == points, rider
        assert Counter(simulation["state"]["trips"]) == trips, rider


def _assert_other_states_are_told(folder: Path, server: DevServer) -> None:
    """The bad build makes something else of the same histories."""
    bad = ("--workflows", str(LOYALTY / "builds" / "v2.py"))
    done = replaytool(folder, "reset", "verify", "plan.json", "--address", server.address, *bad, "--json")
    assert done.returncode == 1, done.stderr
    assert "points is 0, not" in done.stdout


async def fingerprints(riders: list[Rider]) -> dict[str, bytes]:
    """The histories of riders, whole."""
    return {
        one.name: b"".join([event.SerializeToString() for event in await history(one.handle)])
        for one in riders
        if one.handle
    }


def plan(folder: Path, server: DevServer) -> dict[str, Any]:
    """Load, and plan: the plan as it was written."""
    pulled = replaytool(folder, "pull", "--address", server.address)
    assert pulled.returncode == 0, pulled.stderr
    given = ("--build", "v2", *CODE, "--query", "standing", "--address", server.address)
    done = replaytool(folder, "reset", "plan", *given, "-o", "plan.json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    return found


def apply(folder: Path, server: DevServer, *more: str, start_only: bool = False) -> Any:
    arguments = ("reset", "apply", "plan.json", "--address", server.address, "--yes", *more)
    return replaytool(folder, *arguments, start_only=start_only)


def verified(folder: Path, server: DevServer) -> list[dict[str, Any]]:
    """What verify says of each workflow."""
    done = replaytool(folder, "reset", "verify", "plan.json", "--address", server.address, *CODE, "--json")
    assert done.stdout, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert [row for row in rows if row["differences"]] == [], done.stderr
    assert done.returncode == 0
    return rows


def resets(folder: Path, server: DevServer) -> Counter[str]:
    """How often each workflow was reset, counted in the histories of all its runs."""
    pulled = replaytool(folder, "pull", "--address", server.address, "--store", "after.duckdb")
    assert pulled.returncode == 0, pulled.stderr
    sql = (
        "SELECT workflow_id, count(*) AS resets FROM runs WHERE reset_from_run_id IS NOT NULL "
        "AND continued_run_id IS NULL GROUP BY workflow_id"
    )
    done = replaytool(folder, "sql", sql, "--store", "after.duckdb", "--format", "json")
    assert done.returncode == 0, done.stderr
    return Counter({row["workflow_id"]: row["resets"] for row in json.loads(done.stdout)})


async def recovery(folder: Path, number: int) -> dict[str, Any]:
    """Plan, apply, verify, and nothing in the way."""
    async with restartable(folder) as server:
        client = await Client.connect(server.at.address)
        riders = await populate(client, number)
        untouched = [rider for rider in riders if rider.kind not in TOUCHED]
        before = await fingerprints(untouched)
        made = await asyncio.to_thread(plan, folder, server.at)
        touched = [rider for rider in riders if rider.kind in TOUCHED]
        assert [item["workflow_id"] for item in made["items"]] == sorted(rider.name for rider in touched)
        assert made["totals"]["blocked"] == 0, made["items"]
        async with loyalty(client, "v3"):
            started = time.monotonic()
            done = await asyncio.to_thread(apply, folder, server.at, "--canary", "3", "--allow", "v3", "--rps", "0")
            assert done.returncode == 0, done.stdout + done.stderr
            seconds = time.monotonic() - started
            await rest([rider.handle for rider in touched if rider.handle], patience=PATIENCE)
            await assert_right(touched)
            assert await fingerprints(untouched) == before
            rows = await asyncio.to_thread(verified, folder, server.at)
            again: Counter[str] = Counter()
            for row in rows:
                item = next(one for one in made["items"] if one["workflow_id"] == row["workflow_id"])
                assert row["ran_again"] == item["repeats"] == item["simulation"]["again"], row
                assert not any("simulat" in note for note in row["notes"]), row
                again.update(row["ran_again"])
            await _assert_as_simulated(touched, made)
            await asyncio.to_thread(_assert_other_states_are_told, folder, server.at)
            assert dict(sorted(again.items())) == made["totals"]["repeats"]
            await _phase(client, riders, "v3")
            await assert_right([rider for rider in riders if rider.kind != "left"])
        assert await asyncio.to_thread(resets, folder, server.at) == Counter(rider.name for rider in touched)
        return {"riders": number, "reset": len(touched), "apply_seconds": round(seconds, 1), "again": dict(again)}


async def killed(folder: Path, number: int, kills: int, restarts: int, seed: int = 7) -> dict[str, Any]:
    """The same, while apply is killed again and again, the server restarted, and signals go on coming."""
    chance = random.Random(seed)
    async with restartable(folder) as server:
        client = await Client.connect(server.at.address)
        riders = await populate(client, number)
        touched = [rider for rider in riders if rider.kind in TOUCHED]
        made = await asyncio.to_thread(plan, folder, server.at)
        assert made["totals"]["items"] == len(touched)
        async with loyalty(client, "v3"), _signals(touched, chance):
            lives = await _lives(folder, server, chance, kills, restarts, len(touched))
        async with loyalty(client, "v3"):
            await rest([rider.handle for rider in touched if rider.handle], patience=PATIENCE)
            await assert_right(touched)
            await asyncio.to_thread(verified, folder, server.at)
        assert await asyncio.to_thread(resets, folder, server.at) == Counter(rider.name for rider in touched)
        sent = sum(what == "trip" and number >= 1000 for rider in touched for what, number in rider.sent)
        return {"riders": number, "reset": len(touched), **lives, "signals_meanwhile": sent}


async def _lives(
    folder: Path, server: Restartable, chance: random.Random, kills: int, restarts: int, items: int
) -> dict[str, int]:
    """Apply, killed at random moments; in the end it is let through."""
    rps = str(max(2.0, items / max(kills * 0.5, 1)))
    counts: Counter[str] = Counter()
    servers_at = {kills * (index + 1) // (restarts + 1) for index in range(restarts)}
    for life in range(kills):
        process = apply(folder, server.at, "--rps", rps, start_only=True)
        await asyncio.sleep(chance.uniform(0.7, 2.4))
        if life in servers_at:
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            counts["restarts"] += 1
        counts["killed" if process.poll() is None else "ended"] += 1
        process.kill()
        process.communicate()
    for _ in range(5):
        done = await asyncio.to_thread(apply, folder, server.at, "--rps", "0")
        if done.returncode == 0:
            return dict(counts)
    raise AssertionError(done.stdout + done.stderr)


@contextlib.asynccontextmanager
async def _signals(riders: list[Rider], chance: random.Random) -> AsyncIterator[None]:
    """Trips to riders who are not continued as new, each with a number that no other has."""
    over = asyncio.Event()
    able = [rider for rider in riders if rider.kind != "season"]

    async def go_on() -> None:
        number = 1000
        while not over.is_set():
            rider, number = chance.choice(able), number + 1
            assert rider.handle is not None
            try:
                await rider.handle.signal("trip", number, rpc_timeout=None)
                rider.sent.append(("trip", number))
            except RPCError:
                rider.unsure.add(number)
            await asyncio.sleep(0.15)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        over.set()
        await task


if __name__ == "__main__":
    import sys
    import tempfile

    riders = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(recovery(Path(folder), riders)))
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(killed(Path(folder), riders, kills, 2)))
