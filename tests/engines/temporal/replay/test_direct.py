"""The direct engine as a whole: its verdicts, what it hands over, its sandboxes, and what it does with bad code."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import importlib
import time
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import SignalWorkflow, WorkflowActivationJob

from benchmarks.replayable_histories import WORKFLOWS, history
from replaytool.engines import replay
from replaytool.engines.temporal.core.workflow_machines import WorkflowMachines
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay import sdk_replayer as sdk
from replaytool.engines.temporal.replay.direct import HandOver
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from replaytool.replay.code.code_spec import CodeSpec
from replaytool.replay.code.user_code import Code
from replaytool.replay.options import Options
from tests.engines.temporal.oracle import run_of

_LEAKING = WORKFLOWS.replace("LONG = timedelta(seconds=30)", "LONG = timedelta(seconds=30)\nSEEN = []").replace(
    "        total = 0\n        for step in range(steps):\n            total += await workflow.execute_activity",
    "        total = 0\n        SEEN.append(1)\n        if len(SEEN) > 1:\n            return -1\n"
    "        for step in range(steps):\n            total += await workflow.execute_activity",
)
_SPINNING = WORKFLOWS.replace("        total = 0\n", "        while True:\n            pass\n")
_TEA = b'{"eventId":"5","eventType":"TEA","workerMayIgnore":true}'
_counter = iter(range(1000))


def code_of(place: Path, source: str) -> Code:
    name = f"direct_code_{next(_counter)}"
    (place / f"{name}.py").write_text(source)
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    return Code(CodeSpec((name,)), {one.__name__: one for one in module.ALL}, roots=(str(place),))


def a_run(workflow: str = "Steps", steps: int = 3, **changes: Any) -> Run:
    return dataclasses.replace(run_of(history(workflow, steps)), workflow_id="bench", **changes)


def judged(run: Run, code: Code, sandbox: str = "off") -> Verdict:
    found = direct.replay_directly(run, code, Options(sandbox=sandbox))
    assert isinstance(found, Verdict)
    return found


@pytest.mark.parametrize("sandbox", ["off", "per-run", "shared"])
@pytest.mark.parametrize("workflow", ["Steps", "Locals", "Signals"])
def test_a_synthetic_history_is_ok_for_both_engines(place: Path, workflow: str, sandbox: str) -> None:
    code = code_of(place, WORKFLOWS)
    run = a_run(workflow, 12)
    assert judged(run, code, sandbox).verdict == "ok"
    assert sdk.run_sdk_replayer(run, code, Options(sandbox="off")).verdict == "ok"


def test_changed_code_is_told_with_its_line(place: Path) -> None:
    code = code_of(place, WORKFLOWS.replace('activity("score_trip"', 'activity("other"'))
    found = judged(a_run(), code)
    assert found.verdict == "diverged"
    assert found.engine == "direct"
    assert found.divergence is not None
    assert found.divergence.event_id == 5
    assert found.divergence.call_site is not None
    assert found.divergence.call_site.function == "Steps.run"
    assert found.divergence.call_site.chain == ()


def test_drift_is_found_though_the_quick_way_found_no_mismatch(place: Path) -> None:
    code = code_of(place, WORKFLOWS.replace("seconds=30", "seconds=40"))
    found = judged(a_run(), code)
    assert found.verdict == "drift"
    assert {one.path for one in found.drift} == {"startToCloseTimeout"}


def test_a_module_that_remembers_runs_gets_a_sandbox_for_each(place: Path) -> None:
    code = code_of(place, _LEAKING)
    assert [judged(a_run(), code, "shared").verdict for _ in range(3)] == ["ok", "ok", "ok"]


def test_the_shared_sandbox_keeps_its_restrictions(place: Path) -> None:
    code = code_of(
        place, "import time\n" + WORKFLOWS.replace("        total = 0\n", "        total = 0\n        time.sleep(0)\n")
    )
    found = [judged(a_run(), code, "shared") for _ in range(2)]
    assert [one.verdict for one in found] == ["failed", "failed"]
    assert all(one.failure is not None and one.failure.type == "RestrictedWorkflowAccessError" for one in found)


def test_code_that_does_not_yield_is_broken_off(place: Path) -> None:
    began = time.monotonic()
    found = judged(a_run(), code_of(place, _SPINNING))
    assert time.monotonic() - began < 15
    assert found.verdict == "failed"
    assert found.failure is not None
    assert found.failure.type == "Deadlock"
    assert found.failure.call_site is not None
    assert found.failure.call_site.function == "Steps.run"


@pytest.mark.parametrize("engine", ["auto", "direct", "sdk", "both"])
def test_it_works_where_a_loop_is_running(place: Path, engine: str) -> None:
    code = code_of(place, WORKFLOWS)

    async def both() -> tuple[str, bool]:
        word = replay(a_run(), code, Options(sandbox="off"), engine).verdict
        return word, asyncio.get_running_loop().is_running()

    assert asyncio.run(both()) == ("ok", True)


def test_what_it_does_not_know_it_hands_over(place: Path) -> None:
    code = code_of(place, WORKFLOWS)
    run = a_run()
    events = [*run.events]
    events[4] = type(events[4])(5, "TeaWasServed", events[4].event_time, None, _TEA)
    found = direct.replay_directly(dataclasses.replace(run, events=events), code, Options(sandbox="off"))
    assert isinstance(found, HandOver)
    assert "TeaWasServed" in found.reason


@pytest.mark.parametrize("events", [(), slice(0, 1), slice(1, 9)])
def test_what_the_replayer_hangs_on_is_answered_at_once(place: Path, events: Any) -> None:
    run = a_run()
    kept = run.events[events] if isinstance(events, slice) else events
    found = judged(dataclasses.replace(run, events=kept), code_of(place, WORKFLOWS))
    assert found.verdict == "unverified"
    assert "malformed" in found.reason


def test_a_course_stops_where_it_is_told_to_and_tears_the_run_down(place: Path) -> None:
    code = code_of(place, WORKFLOWS)
    course = direct.open_stepper(a_run(steps=5), code, Options(sandbox="off"))
    seen = []
    for told in course.run_steps():
        seen.append(told.activation.history_length)
        if told.activation.history_length >= 9:
            break
    assert seen == [3, 9]


@pytest.mark.parametrize("sandbox", ["off", "shared"])
def test_a_run_that_passed_is_gone_without_the_garbage_collector(place: Path, sandbox: str) -> None:
    code = code_of(place, WORKFLOWS)
    assert judged(a_run(), code, sandbox).verdict == "ok"
    gc.collect()
    gc.disable()
    try:
        assert judged(a_run(), code, sandbox).verdict == "ok"
        assert gc.collect() < 10
    finally:
        gc.enable()


def test_a_course_goes_on_past_the_end_of_the_record(place: Path) -> None:
    code = code_of(place, WORKFLOWS)
    whole = a_run("Signals", 3)
    open_run = dataclasses.replace(whole, events=[one for one in whole.events if one.event_id <= 4])
    course = direct.open_stepper(open_run, code, Options(sandbox="off"), keep=True)
    for _ in course.run_steps():
        pass
    door = Payload(metadata={"encoding": b"json/plain"}, data=b'"door"')

    def ring(replay: WorkflowMachines) -> None:
        for _ in range(3):
            replay.queue_job(WorkflowActivationJob(signal_workflow=SignalWorkflow(signal_name="ring", input=[door])))

    told = course.step_past_end(ring)
    course.driver.evict()
    assert [one.WhichOneof("variant") for one in told.answer.commands] == ["complete_workflow_execution"]


def test_random_numbers_and_clocks_are_those_of_the_record(place: Path) -> None:
    source = WORKFLOWS.replace(
        '"score_trip", {"trip": step}',
        '"score_trip", [workflow.random().random(), str(workflow.uuid4()), workflow.now().isoformat(), step,'
        " workflow.info().get_current_history_length(), workflow.unsafe.is_replaying()]",
    )
    code = code_of(place, source)
    options = Options(sandbox="off", steps=True)
    ours = direct.replay_directly(a_run(), code, options)
    theirs = sdk.run_sdk_replayer(a_run(), code, options)
    assert isinstance(ours, Verdict)
    assert [step.commands for step in ours.steps] == [step.commands for step in theirs.steps]
    assert ours.drift == theirs.drift
