"""The job of `check`: replay one run and return its verdict."""

from __future__ import annotations

from dataclasses import replace

from replaytool.engines import replay
from replaytool.model.verdict import Verdict
from replaytool.replay.jobs import JobRequest, WorkerJob

NO_MEMORY = "the code ran out of memory"


def _replay_request(asked: JobRequest) -> Verdict:
    from replaytool.engines.temporal.replay.recorded_commands import run_from_json

    run = run_from_json(asked.run, asked.history)
    verdict = replay(run, asked.code, asked.options, asked.argument.get("engine", "auto"))
    if verdict.failure is not None and verdict.failure.type == "MemoryError":
        failure = replace(verdict.failure, message=NO_MEMORY)
        return replace(verdict, verdict="crashed", reason=NO_MEMORY, failure=failure)
    return verdict


REPLAY: WorkerJob[Verdict] = WorkerJob(
    name="replaytool.workers.replay_job:REPLAY",
    answer=Verdict,
    work=_replay_request,
    crashed=lambda reason, seconds: Verdict("crashed", reason, seconds=seconds),
    fault=lambda reason, place: Verdict("unverified", reason, notes=(place,)),
    is_last=lambda one: one.verdict == "crashed" or (one.failure is not None and one.failure.type == "Deadlock"),
    is_shaky=lambda one: one.verdict == "crashed" or one.failure is not None,
)
