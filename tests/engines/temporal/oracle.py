"""Both engines on the same code and history, each written down in the same way, and what differs between the two."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import warnings
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.workflow import NondeterminismError

from replaytool.engines.temporal.core.initialize_job import Beginning
from replaytool.engines.temporal.core.workflow_machines import WorkflowMachines
from replaytool.engines.temporal.replay.stepper import Stepper
from replaytool.engines.temporal.sdk import fast_paths as lean
from replaytool.engines.temporal.sdk.quiet_runtime import get_silent_runtime
from replaytool.engines.temporal.sdk.replayer_errors import ReplayerOutcome, parse_replayer_failure
from replaytool.engines.temporal.sdk.workflow_instance import InstanceDriver, InstanceFactory, make_instance_factory
from replaytool.formats.temporal.json_files import read_json_runs
from replaytool.model.history import Event, Run, RunHints

_PREFIX = re.compile(r"^(\[TMPRL1100\] Nondeterminism error: |Fatal error in workflow machines: )")
_EVENT = re.compile(r"HistoryEvent(?:\(id: | \{ event_id: )(\d+)")
_TRACE = re.compile(r'(stack_trace|source): "(?:[^"\\]|\\.)*"\n')
_PRINTED_WHOLE = re.compile(
    r" ?HistoryEvent[ ({].*| for event: .*|EventInfo \{.*|: [A-Za-z]+EventAttributes .*", re.DOTALL
)


@dataclass
class Seen:
    """One replay: each activation with the commands that came back, and how it ended."""

    says: ReplayerOutcome
    activations: list[tuple[Any, list[Any] | None]] = field(default_factory=list)
    last_id: int | None = None


def quiet_process() -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


class _Instance:
    def __init__(self, inner: Any, seen: list[Any]) -> None:
        self._inner, self._seen = inner, seen

    def activate(self, act: Any) -> Any:
        copy = type(act)()
        copy.CopyFrom(act)
        completion = self._inner.activate(act)
        whole = type(completion)()  # a codec encodes them where they stand
        whole.CopyFrom(completion)
        commands = None if completion.HasField("failed") else list(whole.successful.commands)
        self._seen.append((copy, commands))
        return completion

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Recording(WorkflowRunner):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def prepare_workflow(self, defn: Any) -> None:
        pass

    def create_instance(self, det: Any) -> Any:
        return _Instance(UnsandboxedWorkflowRunner().create_instance(det), self.seen)


@dataclass(frozen=True)
class Bench:
    """Code to replay with both engines, outside of the sandbox."""

    workflows: Sequence[type]
    converter: DataConverter = DataConverter.default

    def settings(self, runner: WorkflowRunner) -> dict[str, Any]:
        return {
            "workflows": list(self.workflows),
            "data_converter": self.converter,
            "workflow_runner": runner,
            "unsandboxed_workflow_runner": runner,
            "runtime": get_silent_runtime(),
        }

    def by_sdk(self, histories: Sequence[tuple[str, str]]) -> list[Seen]:
        """Replay (workflow id, JSON) pairs by the SDK's Replayer."""
        return asyncio.run(self._by_sdk(histories))

    async def _by_sdk(self, histories: Sequence[tuple[str, str]]) -> list[Seen]:
        runner, found = _Recording(), []

        async def given() -> AsyncIterator[WorkflowHistory]:
            for workflow_id, text in histories:
                runner.seen = []
                yield WorkflowHistory.from_json(workflow_id, text)

        async with Replayer(**self.settings(runner)).workflow_replay_iterator(given()) as results:
            async for result in results:
                found.append(_seen(result.replay_failure, runner.seen))
        return found

    def worker(self) -> InstanceFactory:
        """As it is for driving at full speed, so that what is left out there is compared, too."""
        worker = make_instance_factory(self.settings(UnsandboxedWorkflowRunner()))
        lean.use_fast_converter(worker.worker)
        return worker

    def by_direct(self, worker: InstanceFactory, events: Sequence[Event], workflow_id: str) -> Seen:
        """Replay events by the direct engine: with whole activations, which are looked at, and as at full speed."""
        whole = self._driven(worker, events, workflow_id, brief=False)
        quick = self._driven(worker, events, workflow_id, brief=True)
        same = (whole.says, whole.last_id) == (quick.says, quick.last_id)
        if not same or [said for _, said in whole.activations] != [said for _, said in quick.activations]:
            return Seen(ReplayerOutcome("history", f"at full speed: {quick.says}"), quick.activations, quick.last_id)
        return whole

    def _driven(self, worker: InstanceFactory, events: Sequence[Event], workflow_id: str, *, brief: bool) -> Seen:
        replay = WorkflowMachines(events, Beginning(workflow_id), worker.get_build_id)
        course = Stepper(replay, InstanceDriver(worker, workflow_id))
        course.is_brief = brief and not course.driver.uses_codec
        seen = Seen(course.outcome)
        with lean.use_fast_awaits():
            for told in course.run_steps():
                failed = told.answer.failure is not None
                seen.activations.append((told.activation, None if failed else list(told.answer.commands)))
        return Seen(course.outcome, seen.activations, replay.last_id)


def _seen(failure: Any, activations: list[Any]) -> Seen:
    evicted = [one for one in activations if any(job.HasField("remove_from_cache") for job in one[0].jobs)]
    last_id = evicted[-1][0].history_length if evicted else None
    says = parse_replayer_failure(failure, isinstance(failure, NondeterminismError), last_id)
    return Seen(says, [one for one in activations if one not in evicted], last_id)


def run_of(text: str) -> Run:
    return next(read_json_runs(io.BytesIO(text.encode()), RunHints()))


def cut(text: str, size: int) -> str:
    return json.dumps({"events": json.loads(text)["events"][:size]})


def difference(sdk: Seen, direct: Seen) -> str | None:
    """What is not equal, in a form to look into; None is what we want."""
    return _of_verdicts(sdk.says, direct.says) or _of_activations(sdk, direct) or _of_ends(sdk, direct)


def _of_verdicts(sdk: ReplayerOutcome, direct: ReplayerOutcome) -> str | None:
    if sdk.word != direct.word:
        return f"the SDK says {sdk}, we say {direct}"
    if sdk.word in ("nondeterminism", "history") and _plain(sdk.message) != _plain(direct.message):
        return f"the SDK says {_plain(sdk.message)!r}, we say {_plain(direct.message)!r}"
    if sdk.word == "nondeterminism" and sdk.event_id != direct.event_id:
        return f"the SDK names event {sdk.event_id}, we name {direct.event_id}"
    return None


def _plain(message: str) -> str:
    """Without the printed insides of the core's values, which are not its words."""
    text = _PREFIX.sub("", message)
    named = _EVENT.search(text)
    return (_PRINTED_WHOLE.sub("", text)[:90] + (f" {named[1]}" if named else "")).strip()


def _of_activations(sdk: Seen, direct: Seen) -> str | None:
    for number, (theirs, ours) in enumerate(zip(sdk.activations, direct.activations, strict=False)):
        if theirs[0] != ours[0]:
            return f"activation {number}:\n--- SDK\n{theirs[0]}\n--- direct\n{ours[0]}"
        if theirs[1] is not None and ours[1] is not None and _printed(theirs[1]) != _printed(ours[1]):
            return f"commands of activation {number}:\n--- SDK\n{theirs[1]}\n--- direct\n{ours[1]}"
    more = len(direct.activations) - len(sdk.activations)
    if more == 1 and direct.activations[-1][1] is None:
        return None  # it failed on the way to the instance, which is where the SDK's side is recorded
    if more:
        return f"the SDK sends {len(sdk.activations)} activations, we send {len(direct.activations)}"
    return None


def _printed(commands: list[Any]) -> list[str]:
    """Tracebacks tell by which way the code was called."""
    return [_TRACE.sub("", str(command)) for command in commands]


def _of_ends(sdk: Seen, direct: Seen) -> str | None:
    if sdk.last_id is None or not sdk.activations or sdk.last_id == direct.last_id:
        return None
    return f"the SDK stopped behind event {sdk.last_id}, we behind {direct.last_id}"
