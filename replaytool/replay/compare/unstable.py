"""Several verdicts on the same run and the same code: where they differ, what one replay says is luck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from replaytool.model.verdict import UNSTABLE, WORDS, Verdict, as_json

_WORST_FIRST = ("diverged", "failed", "crashed", "unverified", "drift", "ok")
_IDLE = ("seconds", "hazards", "notes", "engine", "confirmed_by")


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of them; its reason begins with "unstable" where they are not all the same."""
    worst = min(verdicts, key=lambda one: _WORST_FIRST.index(one.verdict))
    if len({_told(one) for one in verdicts}) == 1:
        return worst
    counts = Counter(one.verdict for one in verdicts)
    said = ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word])
    seen = {(one.what, one.call_site): one for verdict in verdicts for one in verdict.hazards}
    reason = f"{UNSTABLE}: in {len(verdicts)} replays {said}; {worst.reason}".rstrip("; ")
    return replace(worst, reason=reason, hazards=tuple(seen.values()))


def is_unstable(verdict: Verdict) -> bool:
    """Whether replays of this run did not agree."""
    return verdict.reason.startswith(UNSTABLE)


def may_be_luck(*verdicts: Verdict) -> bool:
    """Whether the code looked at a clock, at chance or at the world, each of which may answer otherwise next time."""
    return any(not hazard.refused for one in verdicts for hazard in one.hazards)


def _told(verdict: Verdict) -> str:
    """All that a verdict says about the code."""
    plain: dict[str, Any] = as_json(verdict)
    return repr({name: value for name, value in plain.items() if name not in _IDLE})
