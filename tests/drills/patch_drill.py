"""Patches in every state, with runs of every age, judged by replaytool and by the SDK's Replayer on edited source.

A case has one patch in one place of a small workflow. Its code is written four times: before the patch, with it, with
it deprecated, and with its calls taken out. The runs were recorded by these versions, and stop at a chosen step. So
the truth needs nothing of replaytool: the SDK replays the open runs with the version that a verdict allows.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import uuid
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from replaytool.check.check_runs import CheckPlan
from replaytool.check.patches.judge import PatchRequest
from replaytool.config import Settings
from replaytool.engines import CodeSpec
from replaytool.engines.temporal.sdk.quiet_runtime import get_silent_runtime
from replaytool.ingest import LoadObserver
from replaytool.model.patches import PatchReport, PatchStatus
from replaytool.session import Session
from replaytool.store.run_filters import RunFilter
from replaytool.workers.pool import WorkerLimits
from tests.support.git_repository import git

History = Mapping[str, Any]
STATES = ("introduced", "deprecated", "removed")
HEAD = '''"""Workflows of a drill."""

from datetime import timedelta

from temporalio import workflow


async def step(name: str) -> str:
    return await workflow.execute_activity(name, start_to_close_timeout=timedelta(seconds=10), result_type=str)

'''
CLASS = """
WAY_{seed} = "new-way-{seed}"


@workflow.defn
class Flow{seed}:
    @workflow.run
    async def run(self) -> str:
"""


@dataclass(frozen=True)
class Shape:
    """How a patch stands in the code, and the steps of both of its branches."""

    introduced: str
    deprecated: str
    removed: str
    old: Sequence[str]
    new: Sequence[str]
    can_be_fixed: bool = True
    marks_at: int = 0
    """The number of new steps before the call."""


_DEPRECATE = 'workflow.deprecate_patch("new-way")\n'
SHAPES: Mapping[str, Shape] = {
    "if and else": Shape(
        'if workflow.patched("new-way"):\n    await step("new")\nelse:\n    await step("old")\n',
        _DEPRECATE + 'await step("new")\n',
        'await step("new")\n',
        ["old"],
        ["new"],
    ),
    "inserted": Shape(
        'if workflow.patched("new-way"):\n    # a step more\n    await step("new")\n    await step("newer")\n',
        _DEPRECATE + 'await step("new")\nawait step("newer")\n',
        'await step("new")\nawait step("newer")\n',
        [],
        ["new", "newer"],
    ),
    "removed": Shape('if not workflow.patched("new-way"):\n    await step("old")\n', _DEPRECATE, "pass\n", ["old"], []),
    "not, and else": Shape(
        'if not workflow.patched("new-way"):\n    await step("old")\nelse:\n    await step("new")\n',
        _DEPRECATE + 'await step("new")\n',
        'await step("new")\n',
        ["old"],
        ["new"],
    ),
    "in a loop": Shape(
        'for _ in range(3):\n    if workflow.patched("new-way"):\n        await step("new")\n'
        '    else:\n        await step("old")\n',
        f'for _ in range(3):\n    {_DEPRECATE}    await step("new")\n',
        'for _ in range(3):\n    await step("new")\n',
        ["old"] * 3,
        ["new"] * 3,
    ),
    "later in a loop": Shape(
        'for turn in range(3):\n    await step("turn")\n    if turn and workflow.patched("new-way"):\n'
        '        await step("new")\n    elif turn:\n        await step("old")\n',
        f'for turn in range(3):\n    await step("turn")\n    if turn:\n        {_DEPRECATE}        await step("new")\n',
        'for turn in range(3):\n    await step("turn")\n    if turn:\n        await step("new")\n',
        ["turn", "turn", "old", "turn", "old"],
        ["turn", "turn", "new", "turn", "new"],
        can_be_fixed=False,
        marks_at=2,
    ),
    "chosen value": Shape(
        'await step("new" if workflow.patched("new-way") else "old")\n',
        _DEPRECATE + 'await step("new")\n',
        'await step("new")\n',
        ["old"],
        ["new"],
    ),
    "named ID": Shape(
        'if workflow.patched(WAY):\n    await step("new")\nelse:\n    await step("old")\n',
        'workflow.deprecate_patch(WAY)\nawait step("new")\n',
        'await step("new")\n',
        ["old"],
        ["new"],
    ),
    "kept answer": Shape(
        'is_new = workflow.patched("new-way")\nawait step("new" if is_new else "old")\n',
        _DEPRECATE + 'await step("new")\n',
        'await step("new")\n',
        ["old"],
        ["new"],
        can_be_fixed=False,
    ),
    "in a while": Shape(
        'turn = 0\nwhile turn < 2:\n    turn += 1\n    if workflow.patched("new-way"):\n'
        '        await step("new")\n        await step("newer")\n    else:\n        await step("old")\n',
        f'turn = 0\nwhile turn < 2:\n    turn += 1\n    {_DEPRECATE}    await step("new")\n    await step("newer")\n',
        'turn = 0\nwhile turn < 2:\n    turn += 1\n    await step("new")\n    await step("newer")\n',
        ["old"] * 2,
        ["new", "newer"] * 2,
    ),
}


@dataclass(frozen=True)
class RecordedRun:
    """A run: the way that it took at the patch, and how far it is."""

    way: str
    """old, new (with a marker), deprecated (with a deprecated one), or plain (new code without the call)."""
    steps_done: int
    is_waiting: bool
    """Whether its next step is scheduled, and not only its next task."""


@dataclass(frozen=True)
class PatchDrillCase:
    """One combination."""

    seed: int
    shape: str
    state: str
    before: int
    after: int
    runs: tuple[RecordedRun, ...]

    @property
    def change_id(self) -> str:
        """The ID of its patch."""
        return f"new-way-{self.seed}"

    def write_class(self, version: str) -> str:
        """Return the code of a version: introduced, deprecated, removed."""
        lines = [f'await step("before{n}")\n' for n in range(self.before)]
        lines += getattr(SHAPES[self.shape], version).splitlines(keepends=True)
        lines += [f'await step("after{n}")\n' for n in range(self.after)]
        body = "".join(f"        {line}" for line in [*lines, 'return "done"\n'])
        body = body.replace("new-way", self.change_id).replace("WAY", f"WAY_{self.seed}")
        return CLASS.replace("{seed}", str(self.seed)) + body

    def list_steps(self, way: str) -> list[str]:
        """Return the steps of a run that took this way; "" is where the marker comes."""
        shape = SHAPES[self.shape]
        inner = [*shape.old] if way == "old" else [*shape.new]
        if way in ("new", "deprecated"):
            inner.insert(shape.marks_at, "")
        return [f"before{n}" for n in range(self.before)] + inner + [f"after{n}" for n in range(self.after)]

    def is_open(self, run: RecordedRun) -> bool:
        """Return whether the run goes on."""
        return run.steps_done < len([one for one in self.list_steps(run.way) if one])

    @property
    def open_runs(self) -> list[int]:
        """The places of the open runs."""
        return [place for place, run in enumerate(self.runs) if self.is_open(run)]


def draw_case(seed: int) -> PatchDrillCase:
    """Return the combination of a seed; shapes and states take turns, the runs are drawn."""
    chance = random.Random(f"patches {seed}")
    shape = list(SHAPES)[seed % len(SHAPES)]
    state = STATES[seed // len(SHAPES) % len(STATES)]
    ways = {
        "introduced": ["old", "new"],
        "deprecated": ["old", "new", "deprecated"],
        "removed": ["new", "deprecated", "plain"],
    }
    chosen = chance.sample(ways[state], chance.randint(1, len(ways[state])))
    case = PatchDrillCase(seed, shape, state, chance.randint(0, 2), chance.randint(1, 2), ())
    runs = []
    for _ in range(chance.randint(1, 4)):
        way = chance.choice(chosen)
        most = len([one for one in case.list_steps(way) if one])
        done = most if chance.random() < 0.3 else chance.randint(0, most - 1)
        runs.append(RecordedRun(way, done, chance.random() < 0.6))
    return PatchDrillCase(seed, shape, state, case.before, case.after, tuple(runs))


@dataclass
class _History:
    """Events as a server writes them."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, **attributes: object) -> str:
        number = str(len(self.events) + 1)
        words = kind.lower().split("_")
        key = words[0] + "".join(word.title() for word in words[1:]) + "EventAttributes"
        time = f"2026-01-02T03:{len(self.events) // 60:02}:{len(self.events) % 60:02}Z"
        self.events.append({"eventId": number, "eventTime": time, "eventType": f"EVENT_TYPE_{kind}", key: attributes})
        return number

    def complete_task(self) -> str:
        scheduled = self.add("WORKFLOW_TASK_SCHEDULED", taskQueue={"name": "drill"}, attempt=1)
        started = self.add("WORKFLOW_TASK_STARTED", scheduledEventId=scheduled)
        metadata = {"coreUsedFlags": [1, 2, 3, 4], "sdkName": "temporal-python", "sdkVersion": "1.35.0"}
        return self.add(
            "WORKFLOW_TASK_COMPLETED", scheduledEventId=scheduled, startedEventId=started, sdkMetadata=metadata
        )


def _encode_value(value: object) -> dict[str, object]:
    data = b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()
    return {"metadata": {"encoding": b64encode(b"json/plain").decode()}, "data": data}


def write_histories(case: PatchDrillCase) -> list[History]:
    """Return the histories of all runs of a case."""
    return [_write_history(case, run, f"{case.seed}-{place}") for place, run in enumerate(case.runs)]


def _write_history(case: PatchDrillCase, run: RecordedRun, name: str) -> History:
    """Return the history of a run as a server would have recorded it."""
    history, done, activity = _History(), 0, 0
    run_id = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    history.add(
        "WORKFLOW_EXECUTION_STARTED", workflowType={"name": f"Flow{case.seed}"}, taskQueue={"name": "drill"},
        attempt=1, workflowId=f"flow-{name}", originalExecutionRunId=run_id, firstExecutionRunId=run_id,
    )  # fmt: skip
    steps = case.list_steps(run.way)
    is_marked, task = False, ""
    for one in steps:
        if done == run.steps_done and not run.is_waiting and case.is_open(run):
            break
        if not task:
            task = history.complete_task()
        if not one:
            if not is_marked:
                _add_marker(history, task, case.change_id, is_deprecated=run.way == "deprecated")
            is_marked = True
            continue
        activity += 1
        scheduled = history.add(
            "ACTIVITY_TASK_SCHEDULED", activityId=str(activity), activityType={"name": one},
            taskQueue={"name": "drill"}, startToCloseTimeout="10s", workflowTaskCompletedEventId=task,
        )  # fmt: skip
        if done == run.steps_done:
            return {"events": history.events}
        started = history.add("ACTIVITY_TASK_STARTED", scheduledEventId=scheduled, attempt=1)
        result = {"payloads": [_encode_value(one)]}
        history.add("ACTIVITY_TASK_COMPLETED", scheduledEventId=scheduled, startedEventId=started, result=result)
        done, task = done + 1, ""
    if case.is_open(run):
        history.add("WORKFLOW_TASK_SCHEDULED", taskQueue={"name": "drill"}, attempt=1)
        return {"events": history.events}
    if not task:
        task = history.complete_task()
    result = {"payloads": [_encode_value("done")]}
    history.add("WORKFLOW_EXECUTION_COMPLETED", result=result, workflowTaskCompletedEventId=task)
    return {"events": history.events}


def _add_marker(history: _History, task: str, change_id: str, *, is_deprecated: bool) -> None:
    details = {"patch-data": {"payloads": [_encode_value({"id": change_id, "deprecated": is_deprecated})]}}
    history.add("MARKER_RECORDED", markerName="core_patch", details=details, workflowTaskCompletedEventId=task)
    history.add(
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", workflowTaskCompletedEventId=task,
        searchAttributes={"indexedFields": {"TemporalChangeVersion": _encode_value([change_id])}},
    )  # fmt: skip


def replay_by_sdk(source: str, histories: Sequence[History], folder: Path, name: str) -> list[bool]:
    """Return for each history whether the SDK's Replayer takes it with this source."""
    place = folder / f"{name}.py"
    place.write_text(source)
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    async def replay_all() -> list[bool]:
        replayer = Replayer(
            workflows=[one for name, one in vars(module).items() if name.startswith("Flow")],
            workflow_runner=UnsandboxedWorkflowRunner(),
            runtime=get_silent_runtime(),
        )
        return [
            (
                await replayer.replay_workflow(
                    WorkflowHistory.from_json(f"run-{place}", dict(one)), raise_on_replay_failure=False
                )
            ).replay_failure
            is None
            for place, one in enumerate(histories)
        ]

    return asyncio.run(replay_all())


@dataclass(frozen=True)
class Truth:
    """What the SDK says: whether the open runs replay with each version of the code."""

    present: bool
    deprecated: bool
    without: bool

    def expect_verdict(self, case: PatchDrillCase, *, is_complete: bool) -> str | None:
        """Return the verdict that these replays allow."""
        if case.state == "removed":
            return None
        if not self.present or not (case.open_runs or is_complete):
            return "keep"
        if case.state == "deprecated":
            return "delete" if self.without else "keep"
        return ("delete" if self.without else "deprecate now") if self.deprecated else "keep"


def find_truth(case: PatchDrillCase, histories: Sequence[History], folder: Path) -> Truth:
    """Replay the open runs with the code as it is, with the patch deprecated, and without it."""
    opened = [histories[place] for place in case.open_runs]
    names = {"present": case.state, "deprecated": "deprecated", "without": "removed"}
    return Truth(
        **{
            name: all(replay_by_sdk(HEAD + case.write_class(version), opened, folder, f"truth_{case.seed}_{name}"))
            for name, version in names.items()
        }
    )


@dataclass(frozen=True)
class PatchDrillProject:
    """Several cases in one file of code."""

    cases: Sequence[PatchDrillCase]
    folder: Path
    is_complete: bool

    def survey(self, histories: Mapping[int, Sequence[History]]) -> PatchReport:
        """Return what replaytool says of the project, with its fix."""
        project, kept = self.folder / "project", self.folder / "histories"
        for place in (project, kept):
            place.mkdir()
        text = HEAD + "".join(case.write_class(case.state) for case in self.cases)
        (project / "flow.py").write_text(text)
        # Without it, each worker process reads all loaded modules for a default.
        (project / "named_build.py").write_text('def name_build():\n    return {"build_id": "drill"}\n')
        for seed, some in histories.items():
            for number, one in enumerate(some):
                (kept / f"run-{seed}-{number}.json").write_text(json.dumps(one))
        spec = CodeSpec(("flow.py",), "named_build:name_build", folder=str(project))
        plan = CheckPlan(spec, limits=WorkerLimits(jobs=1), engine="both")
        request = PatchRequest(is_complete=self.is_complete, wants_fix=True)
        return Session(Settings()).survey_patches([str(kept)], RunFilter(), plan, request, LoadObserver())

    def find_faults(self) -> Iterator[str]:
        """Yield where replaytool and the SDK disagree."""
        histories = {case.seed: write_histories(case) for case in self.cases}
        found, fixable = self.survey(histories), []
        by_id = {one.change_id: one for one in found.patches}
        for case in self.cases:
            truth = find_truth(case, histories[case.seed], self.folder)
            expected = truth.expect_verdict(case, is_complete=self.is_complete)
            for fault in self._compare(case, by_id.get(case.change_id), expected, histories[case.seed]):
                yield f"{case}\n  {fault}\n  {truth}"
            if expected in ("deprecate now", "delete"):
                fixable += [case] * (case.state == "deprecated" or SHAPES[case.shape].can_be_fixed)
        assert found.fix is not None
        wanted = sorted(case.change_id for case in fixable)
        if sorted(found.fix.removed) != wanted:
            yield f"the fix removes {sorted(found.fix.removed)} and not {wanted}: {found.fix.note} {found.fix.left}"
        if found.fix.diff:
            yield from self._find_faults_of_fix(found.fix.diff, fixable, histories)

    def find_live_faults(
        self, truths: Mapping[int, Truth], histories: Mapping[int, Sequence[History]]
    ) -> Iterator[str]:
        """Yield where replaytool and live workers disagree about the open runs."""
        found = self.survey(histories)
        by_id = {one.change_id: one for one in found.patches}
        for case in self.cases:
            expected = truths[case.seed].expect_verdict(case, is_complete=self.is_complete)
            for fault in self._compare(case, by_id.get(case.change_id), expected, histories[case.seed]):
                yield f"{case}\n  {fault}\n  {truths[case.seed]}"

    def _compare(
        self, case: PatchDrillCase, status: PatchStatus | None, expected: str | None, histories: Sequence[History]
    ) -> Iterator[str]:
        is_marked = any(one["eventType"].endswith("MARKER_RECORDED") for some in histories for one in some["events"])
        if status is None:
            if case.state != "removed" or is_marked:
                yield "the patch is not listed"
            return
        if status.verdict != expected:
            yield f"{status.verdict} ({status.reason}), and the SDK allows {expected}"
        if bool(status.findings) != (case.state == "removed" or not is_marked):
            yield f"findings {status.findings} of {case.state}, marked: {is_marked}"

    def _find_faults_of_fix(
        self, diff: str, fixed: Sequence[PatchDrillCase], histories: Mapping[int, Sequence[History]]
    ) -> Iterator[str]:
        """Yield what is wrong with a fix: git applies it, the branches are gone, and the SDK takes every open run."""
        project = self.folder / "project"
        (self.folder / "fix.diff").write_text(diff)
        git(project, "init", "-q")
        git(project, "apply", str(self.folder / "fix.diff"))
        text = (project / "flow.py").read_text()
        for case in fixed:
            part = text.partition(f"class Flow{case.seed}:")[2].partition("@workflow.defn")[0]
            if "patched" in part or '"old"' in part:
                yield f"the old branch is still there:\n{part}"
            opened = [histories[case.seed][one] for one in case.open_runs]
            if not all(replay_by_sdk(text, opened, self.folder, f"fixed_{case.seed}")):
                yield f"the SDK refuses the fixed code:\n{part}"


def make_project(seeds: Iterable[int], folder: Path) -> PatchDrillProject:
    """Return a project with the cases of these seeds."""
    cases = [draw_case(seed) for seed in seeds]
    return PatchDrillProject(cases, folder, is_complete=sum(case.seed for case in cases) % 2 == 0)
