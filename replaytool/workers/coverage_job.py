"""The job that replays a run and records which lines of the code it reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

from replaytool.model.verdict import Verdict
from replaytool.replay.jobs import JobRequest, WorkerJob
from replaytool.replay.line_coverage import ReplayCoverage, record_coverage
from replaytool.workers.replay_job import REPLAY


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
    name="replaytool.workers.coverage_job:REACH",
    answer=CoveredVerdict,
    work=_replay_with_coverage,
    crashed=lambda reason, seconds: CoveredVerdict(REPLAY.crashed(reason, seconds)),
    fault=lambda reason, place: CoveredVerdict(REPLAY.fault(reason, place)),
    is_last=lambda one: REPLAY.is_last(one.verdict),
    is_shaky=lambda one: REPLAY.is_shaky(one.verdict),
)
