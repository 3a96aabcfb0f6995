"""The same runs several times over, each time in a world that is a little different: what differs then is luck.

Another seed gives sets of strings another order, and every second time the children take the runs from the other end
and the SDK's own replayer does it. Code that keeps to its inputs cannot tell the difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from replaytool.replay import CodeSpec, Options
from replaytool.replay.pool import Limits, Outcome, Work, replay_all
from replaytool.verdict import UNSTABLE, WORDS, Verdict, as_json

_WORST_FIRST = ("diverged", "failed", "crashed", "unverified", "drift", "ok")
_IDLE = ("seconds", "hazards", "notes", "engine", "confirmed_by")


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
        seeded = replace(limits, hash_seed=str(number))
        # The SDK's replayer watches clocks and chance in every run, which ours does only where it found something.
        chosen = "sdk" if number % 2 else engine
        outcomes.append(replay_all(turned, spec, options, seeded, chosen, progress))
        if not outcomes[-1].complete:
            break
    verdicts = {
        work.key: together([one.verdicts[work.key] for one in outcomes if work.key in one.verdicts])
        for work in listed
        if any(work.key in one.verdicts for one in outcomes)
    }
    return Outcome(verdicts, outcomes[0].code, all(one.complete for one in outcomes))


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for all of them."""
    worst = min(verdicts, key=lambda one: _WORST_FIRST.index(one.verdict))
    if len({_told(one) for one in verdicts}) == 1:
        return worst
    counts = Counter(one.verdict for one in verdicts)
    said = ", ".join(f"{word} {counts[word]} times" for word in WORDS if counts[word])
    return replace(worst, reason=f"{UNSTABLE}: in {len(verdicts)} replays {said}; {worst.reason}".rstrip("; "))


def _told(verdict: Verdict) -> str:
    """All that a verdict says about the code."""
    plain: dict[str, Any] = as_json(verdict)
    return repr({name: value for name, value in plain.items() if name not in _IDLE})
