"""Applying on a real server: what is refused, what is stopped, what is found again."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

from replaytool.engines.temporal.reset.cli_command import format_reset_command
from replaytool.engines.temporal.reset.server_calls import ResetClient
from replaytool.errors import ReplaytoolError
from replaytool.model.reset_plan import ResetPlan, plan_to_text, read_plan, seal_plan
from replaytool.model.reset_server import AnswerLost, ResetSettings
from replaytool.model.server_options import ServerOptions
from replaytool.reset.apply import refuse_outdated_plan
from replaytool.store.ledger import Ledger, ledger_path_of
from tests.reset.support.riders import replaytool, until
from tests.reset.support.scene import Scene, run
from tests.support.dev_server import DevServer, dev_server

pytestmark = pytest.mark.server
Reset = Callable[..., Awaitable[str]]


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with dev_server() as started:
        yield started


@asynccontextmanager
async def planned(scene: Scene, number: int = 1, **plan: Any) -> AsyncIterator[ResetPlan]:
    """So many workflows that v2 has touched, a plan for them, and v3 at work."""
    async with scene.build("v1"):
        handles = [await scene.start(str(index)) for index in range(number)]
    async with scene.build("v2"):
        for handle in handles:
            await scene.do(handle, "step:a")
    made = await scene.plan(**plan)
    assert len(made.items) == number
    async with scene.build("v3"):
        yield made


def states(scene: Scene, plan: ResetPlan) -> list[str]:
    return sorted(one.state for one in Ledger(ledger_path_of(scene.plan_file)).read_outcomes(plan.plan_id).values())


async def forks(scene: Scene) -> int:
    """How many runs were made by resets."""
    store = await scene.pull("after.duckdb")
    (row,) = store.query_rows("SELECT count(*) AS n FROM runs WHERE reset_from_run_id IS NOT NULL")
    return int(row["n"])


def test_the_same_command_again_resets_nothing(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, 3) as plan:
            assert (await scene.apply(plan, canary=1, allow=frozenset({"v3"}))).is_clean
            again = await scene.apply(plan)
            assert (again.tally.before, again.is_clean) == (3, True)
            ledger_path_of(scene.plan_file).unlink()
            without_ledger = await scene.apply(plan)
            assert {one.message for one in without_ledger.outcomes} == {"found by its token"}
            assert await forks(scene) == 3

    run(scenario, "again", server, tmp_path)


def test_a_lost_answer_is_looked_for_before_anything_is_called_again(
    server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second answer is lost on its way back, every third call on its way there."""
    genuine, calls = ResetClient.reset_run, iter(range(1000))

    async def losing(self: ResetClient, *arguments: Any, **named: Any) -> str:
        number = next(calls)
        if number % 3 == 2:
            raise AnswerLost("on its way there")
        new_run = await genuine(self, *arguments, **named)
        if number % 2:
            raise AnswerLost("on its way back")
        return new_run

    async def scenario(scene: Scene) -> None:
        async with planned(scene, 6) as plan:
            monkeypatch.setattr(ResetClient, "reset_run", losing)
            applied = await scene.apply(plan, concurrency=3)
            assert applied.is_clean
            assert "found by its token" in {one.message for one in applied.outcomes}
            assert await forks(scene) == 6

    run(scenario, "lost", server, tmp_path)


def test_failures_break_the_circuit(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, 6) as plan:
            wrong = [replace(item, point=replace(item.point, event_id=2)) for item in plan.items]
            bad = seal_plan(replace(plan, items=wrong))
            scene.plan_file.write_text(plan_to_text(bad))
            applied = await scene.apply(bad, concurrency=1, max_failures=2)
            assert applied.stopped is not None
            assert "--max-failures" in applied.stopped
            assert [one for one in states(scene, bad) if one != "not called"] == ["failed", "failed"]
            assert await forks(scene) == 0

    run(scenario, "circuit", server, tmp_path)


def test_a_canary_that_nobody_takes_stops_the_rest(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, 3) as plan:
            pass
        applied = await scene.apply(plan, canary=1, canary_timeout=0.5)
        assert applied.stopped is not None
        assert "no worker completed" in applied.stopped
        assert states(scene, plan) == ["done"]

    run(scenario, "canary", server, tmp_path)


def test_a_history_that_grew_is_looked_at_again(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, 2) as plan:
            await scene.do(scene.handles[0], "step:later")
            await scene.do(scene.handles[1], "fixed:grown-child")
            applied = await scene.apply(plan)
            assert [one.state for one in applied.outcomes] == ["done", "refused"]
            assert "grown-child" in (applied.outcomes[1].message or "")
            assert (await scene.verify(plan))[0].differences == ()

    run(scenario, "grown", server, tmp_path)


def test_two_at_once_are_one_and_an_answer(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, 8) as plan:
            command = ("reset", "apply", scene.plan_file, "--address", server.address, "--yes")
            first = replaytool(tmp_path, *command, "--rps", "0.8", start_only=True)
            await until_file(scene.plan_file.with_name("plan.ledger.duckdb"))
            second = await asyncio.to_thread(replaytool, tmp_path, *command)
            assert second.returncode == 1
            assert f"process {first.pid} on" in second.stderr
            status = await asyncio.to_thread(replaytool, tmp_path, "reset", "status", scene.plan_file, "--json")
            assert len(json.loads(status.stdout)) == 8, status.stderr
            out, err = await asyncio.to_thread(first.communicate)
            assert first.returncode == 0, err
            assert "8 of 8" in out
            assert states(scene, plan) == ["done"] * 8

    run(scenario, "two", server, tmp_path)


def test_ctrl_c_ends_it_and_the_same_command_goes_on(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, 6) as plan:
            command = ("reset", "apply", scene.plan_file, "--address", server.address, "--yes")
            process = replaytool(tmp_path, *command, "--rps", "1", "--concurrency", "1", start_only=True)
            while "done" not in states(scene, plan):
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.to_thread(process.communicate)
            assert (process.returncode, "run the same command again to continue" in out) == (130, True), err
            assert "intended" not in states(scene, plan)
            assert (await scene.apply(plan)).is_clean
            assert await forks(scene) == 6

    run(scenario, "ctrl-c", server, tmp_path)


def test_what_cannot_work_is_one_clear_error_and_leaves_the_ledger_alone(server: DevServer, tmp_path: Path) -> None:
    cases: list[tuple[ServerOptions, str]] = [
        (ServerOptions(address=server.address, namespace="nowhere"), "no namespace nowhere"),
        (ServerOptions(address=server.address, tls=True), "does not speak TLS"),
        (ServerOptions(address="127.0.0.1:1"), "cannot be reached"),
    ]

    async def scenario(scene: Scene) -> None:
        async with planned(scene) as plan:
            for options, words in cases:
                with pytest.raises(ReplaytoolError, match=words):
                    await scene.apply(plan, server=options)
            assert states(scene, plan) == []
            elsewhere = seal_plan(replace(plan, namespace="elsewhere"))
            scene.plan_file.write_text(plan_to_text(elsewhere))
            with pytest.raises(ReplaytoolError, match="plan is for namespace elsewhere"):
                await scene.apply(elsewhere)
            assert states(scene, elsewhere) == []

    run(scenario, "cannot", server, tmp_path)


def test_a_refused_permission_stops_all(server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, 4) as plan:

            async def denied(self: ResetClient, *arguments: Any, **named: Any) -> str:
                raise self._classify_error(RPCError("Request unauthorized.", RPCStatusCode.PERMISSION_DENIED, b""))

            monkeypatch.setattr(ResetClient, "reset_run", denied)
            with pytest.raises(ReplaytoolError, match="refused access"):
                await scene.apply(plan, concurrency=2)
            assert "intended" not in states(scene, plan)
            monkeypatch.undo()
            assert (await scene.apply(plan)).is_clean
            assert await forks(scene) == 4

    run(scenario, "permission", server, tmp_path)


def test_the_official_commands_do_the_same(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene) as plan:
            how = ResetSettings("it's $HOME; why not", ("signals", "updates"))
            words = format_reset_command(plan, plan.items[0], how)
            await asyncio.to_thread(server.cli, *words[1:])

            async def is_verified() -> bool:
                (found,) = await scene.verify(plan)
                return (found.state, found.differences) == ("done", ())

            await until(is_verified, "a worker to take the reset run")

    run(scenario, "official", server, tmp_path)


def test_a_plan_that_is_older_than_its_histories_is_refused(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, offline=True) as plan:
            await scene.do(scene.handles[0], "step:b")
            store = await scene.pull()
            known = {
                row["run_key"]: row["event_count"] for row in store.query_rows("SELECT run_key, event_count FROM runs")
            }
            with pytest.raises(ReplaytoolError, match="older than the histories"):
                refuse_outdated_plan(plan, known)
            command = ("--store", "runs.duckdb", "reset", "apply", "plan.json", "--address", server.address, "--yes")
            done = await asyncio.to_thread(replaytool, tmp_path, *command)
            assert (done.returncode, "older than the histories" in done.stderr) == (1, True)

    run(scenario, "older", server, tmp_path)


def test_the_command_line_from_end_to_end(server: DevServer, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        async with planned(scene, 2):
            store = ("--store", "runs.duckdb")
            await asyncio.to_thread(scene.plan_file.unlink)

            async def call(*arguments: str) -> Any:
                return await asyncio.to_thread(replaytool, tmp_path, *store, "reset", *arguments)

            named = ("plan", "--build", "v2", "-o", "plan.json", "--reason", "why not", "--emit-cli")
            emitted = await call(*named)
            assert emitted.stdout.count("temporal workflow reset") == 2
            assert "why not" in emitted.stdout
            shown = await call("plan", "--build", "v2", "-o", "plan.json", "--address", server.address)
            assert "not simulated" in shown.stdout, shown.stderr
            asked = await call("apply", "plan.json", "--address", server.address)
            assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
            done = await call("apply", "plan.json", "--address", server.address, "--yes", "--json")
            assert json.loads(done.stdout)["states"] == {"done": 2}, done.stderr
            verified = await call("verify", "plan.json", "--address", server.address, "--csv", "out.csv")
            assert verified.returncode in (0, 1)
            rows = (tmp_path / "out.csv").read_text().splitlines()
            assert rows[0].startswith("workflow_id,run_id,event_id,state")
            assert len(rows) == 3
            points = await call(
                "points", read_plan(scene.plan_file).items[0].run_key, "--address", server.address, "--json"
            )
            known = {row["known_by"] for row in json.loads(points.stdout)}
            assert known == {"history", "server"}

    run(scenario, "command-line", server, tmp_path)


async def until_file(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
