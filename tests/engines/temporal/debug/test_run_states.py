"""Recorded states beside what a query sees that is put into the SDK's own replay, at every event of the fixtures."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import random
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
import temporalio.workflow
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.bridge.proto.workflow_activation import QueryWorkflow, WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.converter import PayloadConverter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker._workflow_instance import _WorkflowInstanceImpl
from temporalio.workflow import _QueryDefinition

from replaytool.engines import Code, CodeSpec, Options, load_code
from replaytool.engines.temporal.debug.run_states import RunStates
from replaytool.model.debug_state import ReplayedState, StateValue
from replaytool.model.history import Run, encode_history
from replaytool.replay.inspect_state.expressions import parse_expression
from replaytool.replay.inspect_state.safe_copies import read_attributes
from replaytool.replay.inspect_state.snapshots import Snapshots
from tests.support.histories import expectations, recorded
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

_QUERY = "__what_is_there"
_NEEDS = {"encrypted_payloads": "cryptography", "pydantic_payloads": "pydantic"}


def cases() -> Iterator[Any]:
    """Each fixture with a code that the SDK replays it with."""
    for folder in sorted(path.parent for path in FIXTURES.glob("*/verdict.json")):
        stated = expectations(folder.name)
        for code, expect in stated["expect"].items():
            names = [
                name
                for name in stated["recorded_by"]
                if (expect.get("histories", {}).get(name) or expect)["sdk"] == "ok"
            ]
            if names and not code.startswith("changed_"):
                yield pytest.param(folder.name, code, tuple(names), id=f"{folder.name}-{code}")


CASES = list(cases())


@cache
def code_of(case: str, file: str) -> Code:
    converter = expectations(case)["converter"]
    name = f"{file}:{converter.partition(':')[2]}" if converter else None
    return load_code(CodeSpec((file,), converter=name, folder=str(FIXTURES / case)))


def test_there_are_enough_of_them() -> None:
    assert len({case.values[0] for case in CASES}) >= 30


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("case", "file", "histories"), CASES)
def test_the_state_at_every_event_is_what_a_query_sees(case: str, file: str, histories: tuple[str, ...]) -> None:
    needed = _NEEDS.get(case)
    if needed and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    code = code_of(case, file)
    for history in histories:
        run = recorded(case, history)
        if code.workflow_class(run.workflow_type) is None:
            continue
        walked = RunStates(run, code, Options())
        walked.record_states()
        seen = _asked(run, code)
        ids = [task.event_id for task in walked.tasks.all]
        last: StateValue | None = None
        by_task = {task: (last := seen.get(task, last)) for task in ids}
        for event in run.events:
            moment = walked.moment_at(event.event_id)
            index = bisect_right(ids, event.event_id)
            if index == 0:
                assert moment.task == 0
            else:
                is_stuck = case.startswith("stuck") and event.event_id > ids[-1]
                assert moment.trouble is None or is_stuck, (history, event.event_id, moment.trouble)
                assert moment.state == by_task[ids[index - 1]], (history, event.event_id)


def _asked(run: Run, code: Code) -> dict[int, StateValue]:
    """By the task that it belongs to, what the last activation of each task left behind, as a query saw it."""
    completed = [event.event_id for event in run.events if event.event_type == "WorkflowTaskCompleted"]
    seen: dict[int, StateValue] = {}

    class Asking(_WorkflowInstanceImpl):
        def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
            completion = super().activate(act)
            index = bisect_right(completed, act.history_length)
            evicts = any(job.HasField("remove_from_cache") for job in act.jobs)
            if not evicts and act.is_replaying and index < len(completed):
                seen[completed[index]] = self._ask(act)
            return completion

        def _ask(self, act: WorkflowActivation) -> StateValue:
            self._queries[_QUERY] = _QueryDefinition(_QUERY, _what_is_there, False, arg_types=[], ret_type=str)
            question = WorkflowActivation(
                run_id=act.run_id, timestamp=act.timestamp, is_replaying=act.is_replaying,
                history_length=act.history_length,
                jobs=[WorkflowActivationJob(query_workflow=QueryWorkflow(query_id="1", query_type=_QUERY))],
            )  # fmt: skip
            answer = super().activate(question).successful.commands[-1].respond_to_query
            text = PayloadConverter.default.from_payload(answer.succeeded.response, str)
            return msgspec.json.decode(text, type=StateValue)

    class Runner(UnsandboxedWorkflowRunner):
        def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
            return Asking(det)  # type: ignore[abstract]

    types = [*code.definitions.values(), *([code.dynamic] if code.dynamic else [])]
    chosen = {**code.settings, "workflows": types, "workflow_runner": Runner()}
    told = WorkflowHistory.from_json(run.workflow_id or "w", encode_history(run).decode())
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(_replay(Replayer(**chosen), told))
    finally:
        logging.disable(logging.NOTSET)
    return seen


async def _replay(replayer: Replayer, history: WorkflowHistory) -> None:
    await replayer.replay_workflow(history, raise_on_replay_failure=False)


def _what_is_there() -> str:
    workflow = temporalio.workflow.instance()
    value = Snapshots().snapshot_names("", type(workflow).__name__, read_attributes(workflow))
    return msgspec.json.encode(value).decode()


@cache
def riders() -> tuple[RunStates, dict[int, ReplayedState]]:
    """A run that was walked through once, from its beginning to its end."""
    run = recorded("loyalty", "history-rider-02.json")
    walked = RunStates(run, code_of("loyalty", "builds/v1.py"), Options())
    walked.record_states()
    return walked, {event.event_id: walked.moment_at(event.event_id) for event in run.events}


@given(st.integers(1, 60), st.lists(st.integers(-9, 9), max_size=40), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_every_way_to_an_event_leads_to_the_same_state(start: int, steps: list[int], chance: random.Random) -> None:
    """Forwards, backwards, and with questions in between that replay the run again."""
    walked, first = riders()
    at = start
    for step in steps:
        at = min(60, max(1, at + step))
        if chance.random() < 0.05:
            walked.evaluate_at_events(parse_expression("trips and points > 3"))
        assert walked.moment_at(at) == first[at]


def test_the_commands_of_a_task_are_matched_with_their_events() -> None:
    walked, _ = riders()
    task = walked.moment_at(34)
    assert [(one.kind, one.name, one.event_id) for one in task.commands] == [("activity", "send_mail", 35)]
    step = walked.moment_at(35)
    assert step.command == task.commands[0]
    assert step.command is not None
    assert step.command.call_site is not None
    assert step.command.call_site.function == "Loyalty.score"
    assert walked.moment_at(36).command is None


@pytest.mark.parametrize(
    ("case", "message", "source"),
    [("stuck_on_exception", "KeyError: 'total'", "total"), ("stuck_on_timeout", "the code does not yield", "")],
)
def test_a_task_that_failed_has_its_trouble_and_the_state_before_it(case: str, message: str, source: str) -> None:
    run = recorded(case)
    walked = RunStates(run, code_of(case, "builds/broken.py"), Options())
    walked.record_states()
    before, at = walked.moment_at(walked.tasks.all[-1].event_id), walked.moment_at(run.events[-1].event_id)
    assert before.trouble is None
    assert at.trouble is not None
    assert (at.trouble.kind, at.trouble.message, at.state) == ("failed", message, before.state)
    assert at.trouble.call_site is not None
    line = (FIXTURES / case / "builds" / "broken.py").read_text().splitlines()[at.trouble.call_site.line - 1]
    assert source in line
    walked.find_changing_line(parse_expression("self"), walked.tasks.all[0].event_id, truth=False)
    assert walked.moment_at(run.events[-1].event_id) == at


def test_code_that_parts_with_the_record_is_told_from_there_on() -> None:
    run = recorded("activities_in_sequence")
    walked = RunStates(run, code_of("activities_in_sequence", "changed_activity_renamed.py"), Options())
    walked.record_states()
    assert walked.trouble is not None
    assert walked.trouble.kind == "diverged"
    first = walked.trouble.event_id
    assert first is not None
    assert walked.trouble.call_site is not None
    assert walked.moment_at(first - 1).trouble is None
    assert walked.moment_at(first).trouble == walked.trouble
    assert walked.moment_at(run.events[-1].event_id).state == StateValue("", "object")


def test_unchanged_parts_are_shared_between_steps() -> None:
    walked, _ = riders()
    one, other = walked.moment_at(8).state, walked.moment_at(14).state
    assert one is not other
    assert one["gifts"] is other["gifts"]
    assert walked.moment_at(14).state is walked.moment_at(18).state
