"""The pytest plugin, in projects of its own, each run by a pytest of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.dev_server import executable
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

CASE = FIXTURES / "activities_in_sequence"
CONFIGURED = """
[tool.pytest.ini_options]
testpaths = ["tests"]
replay_histories = ["histories/*.json"]

[tool.replaytool]
workflows = ["app/"]
"""
IMPORTS = """
import sys

def test_nothing_is_imported():
    ours = [name for name in sys.modules if name.startswith("replaytool.")]
    assert ours == ["replaytool.pytest_plugin"]
    assert {"temporalio", "duckdb", "pyarrow"} & set(sys.modules) == set()
"""


def project(folder: Path, configuration: str, workflow: str = "workflow.py") -> Path:
    """A project with one history, one workflow and one test of its own."""
    for name in ("histories", "app", "tests"):
        (folder / name).mkdir()
    shutil.copy(CASE / "history.json", folder / "histories" / "order.json")
    shutil.copy(CASE / workflow, folder / "app" / "order.py")
    (folder / "tests" / "test_own.py").write_text("def test_own(): pass\n")
    (folder / "pyproject.toml").write_text(configuration)
    return folder


def run(folder: Path, *arguments: str, pythonpath: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTEST_ADDOPTS", "GITHUB_ACTIONS")}
    environment |= {"PYTHONPATH": pythonpath} if pythonpath else {}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, env=environment)


def test_without_configuration_it_is_silent(tmp_path: Path) -> None:
    project(tmp_path, "[tool.pytest.ini_options]\n")
    (tmp_path / "tests" / "test_imports.py").write_text(IMPORTS)
    done = run(tmp_path)
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout
    assert "order.json" not in done.stdout


def test_a_history_that_the_code_follows_is_a_green_test_beside_the_others(tmp_path: Path) -> None:
    done = run(project(tmp_path, CONFIGURED), "-v")
    assert done.returncode == 0, done.stdout
    assert "histories/order.json::replay PASSED" in done.stdout
    assert "tests/test_own.py::test_own PASSED" in done.stdout


def test_a_named_test_file_runs_alone(tmp_path: Path) -> None:
    done = run(project(tmp_path, CONFIGURED), "tests/test_own.py")
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout


def assert_fails_at_the_workflow(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    """The history that is not followed, told with the place in the workflow; the other one is green."""
    assert (done.returncode, "1 failed, 2 passed" in done.stdout) == (1, True), done.stdout + done.stderr
    assert "app/order.py:29: diverged: history: activity reserve_stock" in done.stdout
    assert "FAILED histories/order.json::replay - diverged: history: activity rese" in done.stdout
    cases = {case.get("classname"): case for case in ElementTree.parse(folder / "junit.xml").iter("testcase")}
    failed = cases["histories.order.json"]
    assert (failed.get("file"), failed.get("line")) == ("app/order.py", "28")
    assert [(one.get("name"), one.get("value")) for one in failed.iter("property")] == [("order-7", "diverged")]
    assert cases["histories.timers.json"].find("failure") is None


def broken(folder: Path) -> Path:
    """Code that follows one of two histories."""
    project(folder, CONFIGURED, "changed_activities_swapped.py")
    shutil.copy(FIXTURES / "timers" / "history.json", folder / "histories" / "timers.json")
    shutil.copy(FIXTURES / "timers" / "workflow.py", folder / "app" / "timers.py")
    return folder


JUNIT = ("--junitxml=junit.xml", "-o", "junit_family=xunit1")


def test_a_failure_is_placed_at_the_line_of_the_workflow(tmp_path: Path) -> None:
    assert_fails_at_the_workflow(tmp_path, run(broken(tmp_path), *JUNIT))


@pytest.mark.drill
def test_workers_of_xdist_replay_the_same(tmp_path: Path) -> None:
    assert_fails_at_the_workflow(tmp_path, run(broken(tmp_path), "-n", "2", *JUNIT))


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        ("[tool.pytest.ini_options]\nreplay_histories = ['nowhere/*.json']", "replay_histories: nothing matches"),
        ("[tool.pytest.ini_options]\nreplay_histories = ['histories']", "no workflow code given"),
        (
            "[tool.pytest.ini_options]\nreplay_histories = ['histories']\nreplay_workflows = ['gone.py']",
            "there is no file gone.py",
        ),
    ],
)
def test_what_is_configured_wrongly_is_no_green_run(tmp_path: Path, configuration: str, says: str) -> None:
    done = run(project(tmp_path, configuration))
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr


def test_a_file_that_is_no_history_fails(tmp_path: Path) -> None:
    project(tmp_path, CONFIGURED)
    (tmp_path / "histories" / "other.json").write_text('{"no": "history"}')
    done = run(tmp_path)
    assert "1 failed, 2 passed" in done.stdout
    assert "unverified" in done.stdout


RECORDED = """
import asyncio

import pytest
from flows import Shaky, Stable
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker


async def recorded(replay, one):
    async with await WorkflowEnvironment.start_local(dev_server_existing_path={executable!r}) as env:
        async with Worker(env.client, task_queue="q", workflows=[one]):
            handle = await env.client.start_workflow(one.run, id="w", task_queue="q")
            await handle.result()
            return await replay(handle, one)


def test_stable(replay):
    report = asyncio.run(recorded(replay, Stable))
    assert [one.verdict.verdict for one in report.runs] == ["ok"]


def test_shaky(replay):
    with pytest.raises(AssertionError, match=r"(?s)diverged.*flows\\.py:22"):
        asyncio.run(recorded(replay, Shaky))
"""
FLOWS = """
from datetime import timedelta

from temporalio import workflow


@workflow.defn
class Stable:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(0.01)
        return "done"


@workflow.defn
class Shaky:
    @workflow.run
    async def run(self) -> str:
        if not workflow.unsafe.is_replaying():
            await workflow.sleep(0.01)
            return "done"
        return await workflow.execute_activity("other", schedule_to_close_timeout=timedelta(seconds=1))
"""


@pytest.mark.server
def test_a_run_that_a_test_has_just_recorded_is_replayed_at_once(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "test_recorded.py").write_text(RECORDED.replace("{executable!r}", repr(executable())))
    done = run(tmp_path)
    assert "2 passed" in done.stdout, done.stdout
