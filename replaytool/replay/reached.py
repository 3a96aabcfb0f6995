"""The job of replaying a run and taking down which lines of the code it came by."""

from __future__ import annotations

from dataclasses import dataclass, field

from replaytool.replay.jobs import REPLAY, Asked, Job
from replaytool.replay.reach import Reach, recording
from replaytool.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Reached:
    """A verdict, and the lines that it was found on."""

    verdict: Verdict
    reach: Reach = field(default_factory=Reach)


def _work(asked: Asked) -> Reached:
    from replaytool.replay.temporal import callsite

    callsite.claim(asked.code.roots)
    with recording(callsite.is_user) as tracer:
        verdict = REPLAY.work(asked)
    return Reached(verdict, tracer.reach())


REACH: Job[Reached] = Job(
    name="replaytool.replay.reached:REACH",
    answer=Reached,
    work=_work,
    crashed=lambda reason, seconds: Reached(REPLAY.crashed(reason, seconds)),
    fault=lambda reason, place: Reached(REPLAY.fault(reason, place)),
    is_last=lambda one: REPLAY.is_last(one.verdict),
    is_shaky=lambda one: REPLAY.is_shaky(one.verdict),
)
