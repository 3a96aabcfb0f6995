"""Plugins of the user's: they configure the replay as the SDK's Replayer lets them, in both engines."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from replaytool.engines import Code, CodeSpec, Options, load_code, replay
from replaytool.errors import ReplaytoolError
from tests.conftest import Call
from tests.support.histories import events, recorded
from tests.support.paths import FIXTURES

CASE = "activities_in_sequence"
WORKFLOW = (FIXTURES / CASE / "workflow.py").read_text()
SETTINGS = """
import dataclasses
from contextlib import asynccontextmanager

import library
from temporalio.client import Plugin as ClientPlugin
from temporalio.converter import DataConverter, DefaultPayloadConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, WorkflowInboundInterceptor
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner


def pass_library(runner):
    restrictions = runner.restrictions.with_passthrough_modules("library")
    return dataclasses.replace(runner, restrictions=restrictions)


class Doubling(DefaultPayloadConverter):
    def from_payloads(self, payloads, type_hints=None):
        return [value * 2 if value == 4990 else value for value in super().from_payloads(payloads, type_hints)]


class Renaming(Interceptor):
    def workflow_interceptor_class(self, input):
        return library.Inbound


class ClientOnly(ClientPlugin):
    def configure_client(self, config):
        config["data_converter"] = CONVERTER
        config["interceptors"] = [*config.get("interceptors", []), Renaming()]
        return config

    async def connect_service_client(self, config, next):
        return await next(config)


@asynccontextmanager
async def opened():
    library.OPEN.append(1)
    try:
        yield
    finally:
        library.OPEN.pop()


CONVERTER = DataConverter(payload_converter_class=Doubling)
passing = SimplePlugin("passing", workflow_runner=pass_library)
in_context = SimplePlugin("in context", run_context=opened)
unsandboxed = SimplePlugin("unsandboxed", workflow_runner=UnsandboxedWorkflowRunner())
converting = SimplePlugin("converting", data_converter=CONVERTER)
intercepting = SimplePlugin("intercepting", interceptors=[Renaming()])


def replayer():
    return {{"plugins": [{plugins}]}}
"""
LIBRARY = """
import sys
from temporalio.worker import WorkflowInboundInterceptor, WorkflowOutboundInterceptor
from temporalio import workflow

OPEN = []
if workflow.unsafe.in_sandbox():
    raise RuntimeError("library was imported again, in the sandbox")


class Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input):
        input.activity = input.activity.removeprefix("old_")
        return super().start_activity(input)


class Inbound(WorkflowInboundInterceptor):
    def init(self, outbound):
        super().init(Outbound(outbound))
"""
NEEDS_LIBRARY = WORKFLOW.replace("SHORT =", "import library\n\nSHORT =")
NEEDS_CONTEXT = NEEDS_LIBRARY.replace(
    "        reserved =",
    '        if not library.OPEN:\n            raise RuntimeError("no context")\n        reserved =',
)
NEEDS_INTERCEPTOR = NEEDS_LIBRARY.replace(
    "execute_activity(send_parcel, item", 'execute_activity("old_send_parcel", item'
)
NEEDS_CONVERTER = NEEDS_LIBRARY.replace("charge_card, cents", "charge_card, cents // 2")
NEEDS_NO_SANDBOX = WORKFLOW.replace("        reserved =", '        open("/dev/null").close()\n        reserved =')
BOTH = NEEDS_INTERCEPTOR.replace("charge_card, cents", "charge_card, cents // 2")
OK = [
    pytest.param(NEEDS_LIBRARY, "passing", id="passthrough"),
    pytest.param(NEEDS_CONTEXT, "in_context, passing", id="context"),
    pytest.param(NEEDS_NO_SANDBOX, "unsandboxed", id="runner"),
    pytest.param(NEEDS_INTERCEPTOR, "intercepting, passing", id="interceptor"),
    pytest.param(NEEDS_CONVERTER, "converting, passing", id="converter"),
    pytest.param(BOTH, "passing, in_context, intercepting, converting", id="all"),
    pytest.param(BOTH, "converting, intercepting, in_context, passing", id="all the other way"),
]


_counter = iter(range(1000))


def write_project(folder: Path, workflow: str, plugins: str) -> CodeSpec:
    """A project whose modules have names of their own: a process imports each name once."""
    number = next(_counter)
    names = {name: f"{name}_{number}" for name in ("order", "library", "settings")}
    sources = {"order": workflow, "library": LIBRARY, "settings": SETTINGS.format(plugins=plugins)}
    for name, source in sources.items():
        (folder / f"{names[name]}.py").write_text(re.sub(r"\blibrary\b", names["library"], source))
    (folder / "pyproject.toml").write_text(
        f'[tool.replaytool]\nworkflows = ["{names["order"]}.py"]\nreplayer = "{names["settings"]}:replayer"\n'
        '[tool.pytest.ini_options]\nreplay_histories = ["*.json"]\n'
    )
    return CodeSpec((f"{names['order']}.py",), replayer=f"{names['settings']}:replayer", folder=str(folder))


def code_of(folder: Path, workflow: str, plugins: str) -> Code:
    return load_code(write_project(folder, workflow, plugins))


def says_sdk(code: Code) -> str:
    """What the SDK's own Replayer says with the same plugins."""
    settings = sys.modules[str(code.spec.replayer).partition(":")[0]].replayer()
    replayer = Replayer(workflows=code.workflow_classes, **settings)
    history = WorkflowHistory.from_json("order-7", json.dumps({"events": events(CASE)}))
    result = asyncio.run(replayer.replay_workflow(history, raise_on_replay_failure=False))
    return "ok" if result.replay_failure is None else str(result.replay_failure)


@pytest.mark.parametrize(("workflow", "plugins"), OK)
@pytest.mark.parametrize("sandbox", ["per-run", "shared"])
def test_the_plugins_settings_hold_in_both_engines(tmp_path: Path, workflow: str, plugins: str, sandbox: str) -> None:
    code, run = code_of(tmp_path, workflow, plugins), recorded(CASE)
    assert says_sdk(code) == "ok"
    for engine in ("direct", "sdk"):
        found = replay(run, code, Options(sandbox=sandbox), engine)
        assert (found.verdict, found.engine, found.reason) == ("ok", engine, "")


@pytest.mark.parametrize(("workflow", "plugins"), OK)
def test_without_the_plugins_it_fails(tmp_path: Path, workflow: str, plugins: str) -> None:
    code = code_of(tmp_path, workflow, "")
    assert replay(recorded(CASE), code, Options()).verdict != "ok"


@pytest.mark.parametrize("engine", ["direct", "sdk"])
def test_a_change_is_still_told(tmp_path: Path, engine: str) -> None:
    renamed = NEEDS_CONTEXT.replace("execute_activity(charge_card", 'execute_activity("charge"')
    code = code_of(tmp_path, renamed, "in_context, passing")
    found = replay(recorded(CASE), code, Options(), engine)
    assert (found.verdict, found.event_id) == ("diverged", 11)
    assert found.call_site is not None
    assert found.call_site.function == "Order.run"


def test_a_plugin_that_only_configures_a_client_counts_as_for_a_worker(tmp_path: Path) -> None:
    code = code_of(tmp_path, BOTH, "ClientOnly(), passing")
    assert replay(recorded(CASE), code, Options(), "direct").verdict == "ok"
    assert replay(recorded(CASE), code, Options(), "sdk").verdict == "ok"


def test_a_plugin_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ReplaytoolError, match=r"a plugin of replayer 'settings_\d+:replayer' failed:\n(.|\n)*settings"):
        code_of(tmp_path, WORKFLOW, 'SimplePlugin("bad", workflow_runner=lambda runner: runner.nothing)')


def test_a_plugin_may_bring_the_workflow(tmp_path: Path) -> None:
    spec = write_project(tmp_path, NEEDS_LIBRARY, "passing")
    code = tmp_path / spec.workflows[0]
    code.rename(tmp_path / "brought.py")
    code.write_text("import temporalio.workflow\n")
    settings = tmp_path / f"{str(spec.replayer).partition(':')[0]}.py"
    settings.write_text(settings.read_text().replace("[passing]", '[passing, SimplePlugin("b", workflows=[Order])]'))
    settings.write_text("from brought import Order\n" + settings.read_text())
    assert replay(recorded(CASE), load_code(spec), Options()).verdict == "ok"


def test_check_debug_and_pytest_know_the_plugins(tmp_path: Path, call: Call) -> None:
    spec = write_project(tmp_path, NEEDS_CONTEXT, "in_context, passing")
    shutil.copy(FIXTURES / CASE / "history.json", tmp_path / "one.json")
    for engine in ("direct", "sdk", "auto"):
        checked = call("check", "one.json", "--engine", engine, "--format", "json")
        assert [run["verdict"] for run in checked.json["runs"]] == ["ok"], checked.out
    assert call("load", "one.json").code == 0
    shown = call("debug", "order-7", "--at", "17", "--json", "-w", spec.workflows[0])
    assert shown.json["at"]["locals"]["charged"] == "charged 4990"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert "1 passed" in done.stdout, done.stdout
