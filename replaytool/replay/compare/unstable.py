"""Combine several verdicts on the same run and code: if they differ, the replay is unstable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from replaytool.model.verdict import UNSTABLE, WORDS, Verdict, to_report_json

_WORST_FIRST = ("diverged", "failed", "crashed", "unverified", "drift", "ok")
_IDLE = ("seconds", "hazards", "notes", "engine", "confirmed_by")


def combine_verdicts(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst verdict; its reason begins with "unstable" if they are not all the same."""
    worst = min(verdicts, key=lambda one: _WORST_FIRST.index(one.verdict))
    if len({_stable_part(one) for one in verdicts}) == 1:
        return worst
    counts = Counter(one.verdict for one in verdicts)
    said = ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word])
    seen = {(one.what, one.call_site): one for verdict in verdicts for one in verdict.hazards}
    reason = f"{UNSTABLE}: in {len(verdicts)} replays {said}; {worst.reason}".rstrip("; ")
    return replace(worst, reason=reason, hazards=tuple(seen.values()))


def is_unstable(verdict: Verdict) -> bool:
    """Return whether replays of this run disagreed."""
    return verdict.reason.startswith(UNSTABLE)


def may_be_unstable(*verdicts: Verdict) -> bool:
    """Return whether the code used a clock, random numbers or the world, so that another replay may differ."""
    return any(not hazard.refused for one in verdicts for hazard in one.hazards)


def _stable_part(verdict: Verdict) -> str:
    """Return everything that a verdict says about the code, without times and notes."""
    plain: dict[str, object] = to_report_json(verdict)
    return repr({name: value for name, value in plain.items() if name not in _IDLE})
