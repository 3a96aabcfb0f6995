"""Group runs with the same finding into one cause: people fix causes, not runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replaytool.model.verdict import Cause, CheckedRun, Verdict

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"\d+")
_MOST_PATHS = 5


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """A cause with the runs that have it: failures, or drift in the same fields."""

    cause: Cause
    runs: Sequence[CheckedRun]

    @property
    def example_run(self) -> CheckedRun:
        """Return the run that represents the group."""
        return next(one for one in self.runs if one.subject.run_key == self.cause.example)


def find_causes(checked: Iterable[CheckedRun]) -> tuple[Cause, ...]:
    """Return one cause per kind of failure, the most frequent first. Drift is left out."""
    return tuple(found.cause for found in group_findings(checked) if found.cause.verdict != "drift")


def group_findings(checked: Iterable[CheckedRun]) -> tuple[CauseGroup, ...]:
    """Return one group per kind of failure or drift, the most frequent first."""
    groups: dict[str, list[CheckedRun]] = {}
    for one in checked:
        if one.verdict.verdict != "ok":
            groups.setdefault(cause_id(one), []).append(one)
    found = [CauseGroup(_describe_cause(key, runs), runs) for key, runs in groups.items()]
    return tuple(sorted(found, key=lambda one: (-one.cause.runs, one.cause.id)))


def _describe_cause(key: str, runs: Sequence[CheckedRun]) -> Cause:
    first = min(runs, key=lambda one: one.subject.run_key)
    return Cause(
        id=key,
        verdict=first.verdict.verdict,
        runs=len(runs),
        message=describe_finding(first.verdict),
        call_site=first.verdict.call_site,
        example=first.subject.run_key,
        fingerprint=finding_fingerprint(first),
        known=sum(one.known for one in runs),
        pinned=sum(one.subject.pinned_to is not None and not one.known for one in runs),
    )


def finding_fingerprint(one: CheckedRun) -> str:
    """Return an id of the finding that stays the same when lines or files around it move."""
    site = one.verdict.call_site
    return _short_hash(
        [one.verdict.verdict, one.subject.workflow_type, site.function if site else "", _failure_pattern(one.verdict)]
    )


def cause_id(one: CheckedRun) -> str:
    """Return an id that all runs with the same failure at the same line share."""
    return _short_hash(_cause_key(one))


def describe_finding(verdict: Verdict) -> str:
    """Describe what went wrong, without what differs from run to run."""
    divergence, failure = verdict.divergence, verdict.failure
    if divergence is not None:
        expected, actual = divergence.expected, divergence.actual
        recorded = _name_command(expected.kind, expected.name) if expected else "nothing"
        produced = _name_command(actual.kind, actual.name) if actual else "nothing"
        which = f" (differs in {', '.join(divergence.differing)})" if divergence.differing else ""
        return f"history: {recorded}; code: {produced}{which}"
    if failure is not None:
        return f"{failure.type}: {failure.message}"
    if verdict.drift and not verdict.reason:
        return f"differs in {', '.join(list(dict.fromkeys(one.path for one in verdict.drift))[:_MOST_PATHS])}"
    return verdict.reason


def _name_command(kind: str, name: str) -> str:
    """Leave out names that are only numbers, as timers have them: they say nothing about the cause."""
    return kind if not name or name.isdigit() else f"{kind} {name}"


def _cause_key(one: CheckedRun) -> tuple[str, ...]:
    site = one.verdict.call_site
    place = (site.file, str(site.line)) if site else ("", "")
    return (one.verdict.verdict, one.subject.workflow_type, *place, _failure_pattern(one.verdict))


def _failure_pattern(verdict: Verdict) -> str:
    """Describe the failure without digits, because a message may contain ids of its run."""
    if verdict.verdict == "drift":
        return " ".join(sorted({mask_digits(drift.path) for drift in verdict.drift}))
    return mask_digits(describe_finding(verdict))


def mask_digits(text: str) -> str:
    """Mask each number as a whole: its length differs between runs, and an address has letters that differ too."""
    return _NUMBER.sub("#", _ADDRESS.sub("0x#", text))


def _short_hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:12]
