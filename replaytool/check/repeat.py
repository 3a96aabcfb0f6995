"""Replay runs several times under different conditions, to find code whose replay is unstable.

Each repeat has another hash seed (so sets have another order) and a shifted wall clock. Every second repeat takes the
runs in reverse order and uses the SDK's own replayer. Deterministic code cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from replaytool.engines import CodeSpec, Options
from replaytool.model.verdict import Verdict
from replaytool.replay.compare.unstable import combine_verdicts
from replaytool.workers.pool import ReplayOutcome, WorkerLimits, WorkItem, replay_all_runs

_STRIDE = timedelta(days=200, hours=12, minutes=1, seconds=1)
"""Every two strides are in another year; each stride changes weekday, half of the day, minute and second."""


def replay_repeatedly(
    works: Iterable[WorkItem],
    spec: CodeSpec,
    times: int,
    options: Options | None = None,
    limits: WorkerLimits | None = None,
    engine: str = "auto",
    progress: Callable[[str, Verdict], None] | None = None,
) -> ReplayOutcome:
    """Return the worst verdict of each run; its reason begins with "unstable" if they differ."""
    listed = list(works)
    limits = limits or WorkerLimits()
    outcomes: list[ReplayOutcome] = []
    for number in range(times):
        turned = [replace(work, size=-work.size) for work in listed] if number % 2 else listed
        varied = replace(limits, hash_seed=str(number), clock_ahead=clock_offset_of_repeat(number))
        chosen = "sdk" if number % 2 else engine
        outcomes.append(replay_all_runs(turned, spec, options, varied, chosen, progress))
        if not outcomes[-1].complete:
            break
    verdicts = {
        work.key: combine_verdicts([one.verdicts[work.key] for one in outcomes if work.key in one.verdicts])
        for work in listed
        if any(work.key in one.verdicts for one in outcomes)
    }
    return ReplayOutcome(verdicts, outcomes[0].code, all(one.complete for one in outcomes))


def clock_offset_of_repeat(number: int) -> float:
    """Return the seconds by which repeat `number` shifts the wall clock: 0 first, then forward and back.

    >>> [round(clock_offset_of_repeat(number) / 86400) for number in range(5)]
    [0, 201, -201, 401, -401]
    """
    strides = (number + 1) // 2
    return (strides if number % 2 else -strides) * _STRIDE.total_seconds()
