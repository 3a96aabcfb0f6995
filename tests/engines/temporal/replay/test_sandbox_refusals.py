"""Code that the SDK's sandbox refuses is `failed` everywhere, with the sandbox's reason and the way out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replaytool.engines import Code, CodeSpec, Options, load_code, replay
from replaytool.engines.temporal.debug.final_states import find_latest_clean, replay_to_end
from replaytool.engines.temporal.debug.run_states import RunStates
from replaytool.engines.temporal.sdk.private import WorkflowDefinition
from replaytool.engines.temporal.simulate.simulation import SimulationRequest, simulate_runs
from tests.support.histories import recorded
from tests.support.paths import FIXTURES

CASE = "activities_in_sequence"
WORKFLOW = (FIXTURES / CASE / "workflow.py").read_text()
SUBCLASS = "import http.client\n\n\nclass Caller(http.client.HTTPConnection):\n    pass\n"
RAISES = "if workflow.unsafe.in_sandbox():\n    raise ValueError('not in a sandbox')\n"
AT_SECOND_IMPORT = "import only_twice_{number}\n"
ONLY_TWICE = """
import temporalio

temporalio.imports_of_{number} = getattr(temporalio, "imports_of_{number}", 0) + 1
if temporalio.imports_of_{number} > 2:
    raise ImportError("cannot be loaded a third time")
"""
REFUSED = {
    "a subclass of a restricted class": (SUBCLASS, "Cannot access http.client.HTTPConnection.__mro_entries__"),
    "an error at import": (RAISES, "not in a sandbox"),
    "a module that cannot be imported so often": (AT_SECOND_IMPORT, "cannot be loaded a third time"),
}
_counter = iter(range(1000))


@pytest.fixture(autouse=True)
def no_left_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("order_", "only_twice_")):
            del sys.modules[name]


def code_with(folder: Path, top: str, settings: str = "") -> Code:
    number = next(_counter)
    (folder / f"only_twice_{number}.py").write_text(ONLY_TWICE.replace("{number}", str(number)))
    file = folder / f"order_refused_{number}.py"
    file.write_text(WORKFLOW.replace("SHORT =", f"{top.replace('{number}', str(number))}\nSHORT =", 1) + settings)
    replayer = f"order_refused_{number}:settings" if settings else None
    return load_code(CodeSpec((str(file),), replayer, folder=str(folder)))


@pytest.mark.parametrize("engine", ["direct", "both"])
@pytest.mark.parametrize("what", REFUSED)
def test_refused_code_is_failed_with_the_sandboxs_reason(tmp_path: Path, what: str, engine: str) -> None:
    top, said = REFUSED[what]
    verdict = replay(recorded(CASE), code_with(tmp_path, top), engine=engine)
    assert verdict.verdict == "failed", verdict.reason
    assert said in verdict.reason
    assert "imports_passed_through" in verdict.reason
    assert "UnsandboxedWorkflowRunner" in verdict.reason
    assert verdict.confirmed_by == ("sdk" if engine == "both" else None)


def test_the_line_is_the_users(tmp_path: Path) -> None:
    verdict = replay(recorded(CASE), code_with(tmp_path, SUBCLASS))
    assert (verdict.verdict, verdict.confirmed_by) == ("failed", "sdk")
    assert verdict.call_site is not None
    assert Path(verdict.call_site.file).name.startswith("order_refused_")
    assert verdict.failure is not None
    assert verdict.failure.type == "RestrictedWorkflowAccessError"


def test_the_sandbox_is_asked_once_for_each_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def prepare(self: SandboxedWorkflowRunner, definition: WorkflowDefinition) -> None:
        asked.append(definition.name)

    monkeypatch.setattr(SandboxedWorkflowRunner, "prepare_workflow", prepare)
    code = code_with(tmp_path, "")
    for engine in ("direct", "sdk", "direct"):
        assert replay(recorded(CASE), code, engine=engine).verdict == "ok"
    assert asked == ["Order"]


def test_without_a_sandbox_nothing_is_refused(tmp_path: Path) -> None:
    assert replay(recorded(CASE), code_with(tmp_path, SUBCLASS), Options(sandbox="off"), "direct").verdict == "ok"
    own = """

def settings():
    from temporalio.worker import UnsandboxedWorkflowRunner

    return {"workflow_runner": UnsandboxedWorkflowRunner()}
"""
    assert replay(recorded(CASE), code_with(tmp_path, SUBCLASS, own), engine="direct").verdict == "ok"


def test_what_replaytool_itself_refuses_is_not_the_sandboxs_word(tmp_path: Path) -> None:
    top = f"if workflow.unsafe.in_sandbox():\n    open({str(tmp_path / 'x')!r}, 'w').close()\n"
    verdict = replay(recorded(CASE), code_with(tmp_path, top), engine="direct")
    assert "the SDK's sandbox refuses" not in verdict.reason


def test_a_class_that_the_sandbox_accepts_is_ok(tmp_path: Path) -> None:
    top = "import socket\n\n\nclass Plug(socket.socket):\n    pass\n"
    verdict = replay(recorded(CASE), code_with(tmp_path, top), engine="direct")
    assert (verdict.verdict, verdict.reason) == ("ok", "")


@pytest.mark.parametrize("what", list(REFUSED)[:2])
def test_debug_simulate_and_plans_say_it_as_check_does(tmp_path: Path, what: str) -> None:
    run, code = recorded(CASE), code_with(tmp_path, REFUSED[what][0])
    said = replay(run, code, engine="direct").reason
    assert said.startswith("the SDK's sandbox refuses workflow Order")
    states = RunStates(run, code, Options())
    states.record_states()
    assert states.trouble is not None
    assert (states.trouble.kind, states.trouble.message, states.trouble.event_id) == ("failed", said, 1)
    for is_reset in (False, True):  # event 4 is the first task: no events before the point say anything about the code
        found = simulate_runs([run], SimulationRequest(4, reset=is_reset), code, Options())
        assert (found.prefix_verdict, found.prefix_reason) == ("failed", said)
        assert str(found.stopped).endswith(said)
    assert replay_to_end(run, code, Options()).trouble == said
    assert find_latest_clean(run, code, Options()).trouble == f"failed: {said}"


def test_debug_says_why_no_instance_can_be_made(tmp_path: Path) -> None:
    states = RunStates(
        recorded(CASE), code_with(tmp_path, REFUSED["a module that cannot be imported so often"][0]), Options()
    )
    states.record_states()
    assert states.trouble is not None
    assert (states.trouble.kind, states.trouble.event_id) == ("failed", 1)
    assert "cannot be loaded a third time" in states.trouble.message
    assert "imports_passed_through" in states.trouble.message


def test_the_advice_for_a_subclass_is_about_its_import(tmp_path: Path) -> None:
    verdict = replay(recorded(CASE), code_with(tmp_path, SUBCLASS))
    assert verdict.failure is not None
    assert "subclass of http.client.HTTPConnection" in verdict.failure.advice
    assert "imports_passed_through" in verdict.failure.advice
