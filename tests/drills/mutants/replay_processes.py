"""Replays many versions of workflow code one after the other, in processes that may hang or die without harm.

`python -m tests.drills.mutants.replay_processes replayer|check:ENGINE` reads jobs as lines of JSON and answers each
with a line.
`replayer` is the SDK's own Replayer and nothing else; a recorder around its runner only writes down what the code
asked for, which tells afterwards whether an edit changed anything at all on that history.
"""

from __future__ import annotations

import asyncio
import faulthandler
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from replaytool.engines import Code, CodeSpec, Options, load_code, replay
from replaytool.formats import HEAD_SIZE, detect_format
from replaytool.model.history import RunHints
from replaytool.model.verdict import to_report_json
from tests.support.paths import ROOT

_PATIENCE = 60
"""Seconds for one job, on a machine that has other work. Code that loops for ever uses them up."""


@dataclass(frozen=True, slots=True)
class Job:
    """One version of code, and the histories to replay with it."""

    number: int
    file: str
    sandbox: str
    """Empty: as the replayer has it when nobody says anything."""
    histories: tuple[tuple[str, str, str], ...]
    """Path, workflow id, run id."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a replayer said, by history."""

    number: int
    said: dict[str, Any] = field(default_factory=dict)


def answers(what: str, jobs: Sequence[Job]) -> dict[int, Answer]:
    """Replay them all in a process; where that hangs or dies, the job it was at has no answer, and the rest go on."""
    found: dict[int, Answer] = {}
    left = list(jobs)
    while left:
        before = len(found)
        process = _started(what, left)
        assert process.stdout is not None
        for line in process.stdout:
            answer = Answer(**json.loads(line))
            found[answer.number] = answer
        left = [job for job in left if job.number not in found]
        if left and (process.wait() or len(found) == before):
            found[left[0].number] = Answer(left[0].number)
            left = left[1:]
    return found


def _started(what: str, jobs: Sequence[Job]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.drills.mutants.replay_processes", what],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("".join(f"{json.dumps(asdict(job))}\n" for job in jobs))
    process.stdin.close()
    return process


# What the SDK says


async def _by_sdk(job: Job, code: Code, _: str) -> dict[str, Any]:
    from temporalio.client import WorkflowHistory
    from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
    from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
    from temporalio.workflow import NondeterminismError

    said = {}
    for path, workflow_id, _ in job.histories:
        recorder = _recorder(UnsandboxedWorkflowRunner() if job.sandbox == "off" else SandboxedWorkflowRunner())
        # Without `debug_mode` a loaded machine looks like a deadlock.
        replayer = Replayer(
            workflows=[one for one in (*code.definitions.values(), code.dynamic) if isinstance(one, type)],
            workflow_runner=recorder, debug_mode=True, **code.settings,
        )  # fmt: skip
        history = WorkflowHistory.from_json(workflow_id, Path(path).read_text())
        failure = (await replayer.replay_workflow(history, raise_on_replay_failure=False)).replay_failure
        word = "nondeterminism" if isinstance(failure, NondeterminismError) else "error" if failure else "ok"
        said[Path(path).name] = {"sdk": word, "message": str(failure or "")[:300], "asked": recorder.digest}
    return said


def _recorder(inner: Any) -> Any:
    """A runner that notes all completions; made here, as only this process needs the SDK."""
    from temporalio.worker import WorkflowRunner

    class Noting:
        def __init__(self, instance: Any, note: Callable[[Message], None]) -> None:
            self._instance, self._note = instance, note

        def activate(self, act: Any) -> Any:
            completion = self._instance.activate(act)
            self._note(completion)
            return completion

        def __getattr__(self, name: str) -> Any:
            return getattr(self._instance, name)

    class Recorder(WorkflowRunner):
        def __init__(self) -> None:
            self._hash = hashlib.sha256()

        @property
        def digest(self) -> str:
            return self._hash.hexdigest()

        def prepare_workflow(self, defn: Any) -> None:
            inner.prepare_workflow(defn)

        def create_instance(self, det: Any) -> Any:
            return Noting(inner.create_instance(det), self._note)

        def set_worker_level_failure_exception_types(self, types: Any) -> None:
            inner.set_worker_level_failure_exception_types(types)

        def _note(self, completion: Message) -> None:
            twin = type(completion)()
            twin.CopyFrom(completion)
            _without_traces(twin)
            self._hash.update(twin.SerializeToString(deterministic=True))

    return Recorder()


def _without_traces(message: Message) -> None:
    """Line numbers are no behaviour."""
    for one, value in message.ListFields():
        if one.name == "stack_trace":
            message.ClearField("stack_trace")
        elif isinstance(value, Message):
            _without_traces(value)
        elif one.message_type is not None and not one.message_type.GetOptions().map_entry:
            for part in value:
                _without_traces(part)


# What replaytool says


async def _by_check(job: Job, code: Code, engine: str) -> dict[str, Any]:
    said = {}
    for path, workflow_id, run_id in job.histories:
        data = Path(path).read_bytes()
        hints = RunHints(name=path, workflow_id=workflow_id, run_id=run_id)
        run = next(iter(detect_format(data[:HEAD_SIZE]).read_runs(BytesIO(data), hints)))
        verdict = await asyncio.to_thread(replay, run, code, Options(sandbox=job.sandbox or Options().sandbox), engine)
        said[Path(path).name] = to_report_json(verdict)
    return said


_BY: dict[str, Any] = {"replayer": _by_sdk, "check": _by_check}


def main() -> None:
    """Answer all jobs, or as many as one process can."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the core writes to stdout
    logging.disable(logging.CRITICAL)
    sys.dont_write_bytecode = True
    what, _, engine = sys.argv[1].partition(":")
    for line in sys.stdin.readlines():
        given = json.loads(line)
        job = Job(**{**given, "histories": tuple(map(tuple, given["histories"]))})
        faulthandler.dump_traceback_later(_PATIENCE, exit=True)
        code = load_code(CodeSpec((job.file,)))
        said = asyncio.run(_BY[what](job, code, engine))
        out.write(f"{json.dumps({'number': job.number, 'said': said})}\n")
        if any((one.get("failure") or {}).get("type") == "Deadlock" for one in said.values()):
            break  # the code still runs: another process goes on
    faulthandler.cancel_dump_traceback_later()
    out.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
