"""The same runs several times over, each time in a world that is a little different: what differs then is luck.

Another seed gives sets of strings another order, the wall clock is set off, and every second time the children take
the runs from the other end and the SDK's own replayer does it. Code that keeps to its inputs cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from replaytool.engines import CodeSpec, Options
from replaytool.model.verdict import Verdict
from replaytool.replay.compare.unstable import together
from replaytool.workers.pool import Limits, Outcome, Work, replay_all

_STRIDE = timedelta(days=200, hours=12, minutes=1, seconds=1)
"""Another year after two of them, another weekday, half of the day, minute and second after each."""


def replay_repeatedly(
    works: Iterable[Work],
    spec: CodeSpec,
    times: int,
    options: Options | None = None,
    limits: Limits | None = None,
    engine: str = "auto",
    progress: Callable[[str, Verdict], None] | None = None,
) -> Outcome:
    """The worst verdict on each run; its reason begins with "unstable" where they were not all the same."""
    listed = list(works)
    limits = limits or Limits()
    outcomes: list[Outcome] = []
    for number in range(times):
        turned = [replace(work, size=-work.size) for work in listed] if number % 2 else listed
        varied = replace(limits, hash_seed=str(number), clock_ahead=clock_ahead(number))
        chosen = "sdk" if number % 2 else engine
        outcomes.append(replay_all(turned, spec, options, varied, chosen, progress))
        if not outcomes[-1].complete:
            break
    verdicts = {
        work.key: together([one.verdicts[work.key] for one in outcomes if work.key in one.verdicts])
        for work in listed
        if any(work.key in one.verdicts for one in outcomes)
    }
    return Outcome(verdicts, outcomes[0].code, all(one.complete for one in outcomes))


def clock_ahead(number: int) -> float:
    """Seconds by which the wall clock is set off in the replay of this number: first not at all, then to both sides.

    >>> [round(clock_ahead(number) / 86400) for number in range(5)]
    [0, 201, -201, 401, -401]
    """
    strides = (number + 1) // 2
    return (strides if number % 2 else -strides) * _STRIDE.total_seconds()
