"""The jobs that replay a run: for its verdict, and for the lines of code that it reaches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from replaytool.engines import read_history, replay
from replaytool.model.verdict import Verdict
from replaytool.replay.jobs import JobRequest, WorkerJob
from replaytool.replay.line_coverage import ReplayCoverage, record_coverage

NO_MEMORY = "the code ran out of memory"


def _replay_request(asked: JobRequest) -> Verdict:
    run = read_history(asked.run, asked.history)
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


@dataclass(frozen=True, slots=True)
class CoveredVerdict:
    """A verdict, and the lines that the replay reached."""

    verdict: Verdict
    reach: ReplayCoverage = field(default_factory=ReplayCoverage)


def _replay_with_coverage(asked: JobRequest) -> CoveredVerdict:
    from replaytool.replay import call_site as callsite

    callsite.claim_user_folders(asked.code.roots)
    with record_coverage(callsite.is_user_code) as tracer:
        verdict = REPLAY.work(asked)
    return CoveredVerdict(verdict, tracer.recorded_coverage())


REACH: WorkerJob[CoveredVerdict] = WorkerJob(
    name="replaytool.workers.replay_job:REACH",
    answer=CoveredVerdict,
    work=_replay_with_coverage,
    crashed=lambda reason, seconds: CoveredVerdict(REPLAY.crashed(reason, seconds)),
    fault=lambda reason, place: CoveredVerdict(REPLAY.fault(reason, place)),
    is_last=lambda one: REPLAY.is_last(one.verdict),
    is_shaky=lambda one: REPLAY.is_shaky(one.verdict),
)
