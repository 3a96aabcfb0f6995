"""The job of replaying a run and taking down which lines of the code it came by."""

from __future__ import annotations

from dataclasses import dataclass, field

from replaytool.model.verdict import Verdict
from replaytool.replay.jobs import Asked, Job
from replaytool.replay.line_coverage import Reach, recording
from replaytool.workers.replay_job import REPLAY


@dataclass(frozen=True, slots=True)
class Reached:
    """A verdict, and the lines that it was found on."""

    verdict: Verdict
    reach: Reach = field(default_factory=Reach)


def _work(asked: Asked) -> Reached:
    from replaytool.replay import call_site as callsite

    callsite.claim(asked.code.roots)
    with recording(callsite.is_user) as tracer:
        verdict = REPLAY.work(asked)
    return Reached(verdict, tracer.reach())


REACH: Job[Reached] = Job(
    name="replaytool.workers.coverage_job:REACH",
    answer=Reached,
    work=_work,
    crashed=lambda reason, seconds: Reached(REPLAY.crashed(reason, seconds)),
    fault=lambda reason, place: Reached(REPLAY.fault(reason, place)),
    is_last=lambda one: REPLAY.is_last(one.verdict),
    is_shaky=lambda one: REPLAY.is_shaky(one.verdict),
)
