"""Equal findings of many runs, brought together: people mend causes, not runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replaytool.model.verdict import Cause, Checked, Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause with the runs that it goes wrong in, or that drift in the same way."""

    cause: Cause
    runs: Sequence[Checked]

    @property
    def example(self) -> Checked:
        """The run that stands for all of them."""
        return next(one for one in self.runs if one.subject.run_key == self.cause.example)


def causes(checked: Iterable[Checked]) -> tuple[Cause, ...]:
    """One for each way in which runs went wrong, the most frequent first."""
    return tuple(found.cause for found in findings(checked) if found.cause.verdict != "drift")


def findings(checked: Iterable[Checked]) -> tuple[Finding, ...]:
    """One for each way in which runs went wrong or drift, the most frequent first."""
    groups: dict[str, list[Checked]] = {}
    for one in checked:
        if one.verdict.verdict != "ok":
            groups.setdefault(cause_id(one), []).append(one)
    found = [Finding(_cause(key, runs), runs) for key, runs in groups.items()]
    return tuple(sorted(found, key=lambda one: (-one.cause.runs, one.cause.id)))


def _cause(key: str, runs: Sequence[Checked]) -> Cause:
    first = min(runs, key=lambda one: one.subject.run_key)
    return Cause(
        id=key,
        verdict=first.verdict.verdict,
        runs=len(runs),
        message=message(first.verdict),
        call_site=first.verdict.call_site,
        example=first.subject.run_key,
        fingerprint=fingerprint(first),
        known=sum(one.known for one in runs),
        pinned=sum(one.subject.pinned_to is not None and not one.known for one in runs),
    )


def fingerprint(one: Checked) -> str:
    """The finding without lines and files, so that it is found again after the code around it has moved."""
    site = one.verdict.call_site
    return _digest([one.verdict.verdict, one.subject.workflow_type, site.function if site else "", _what(one.verdict)])


def cause_id(one: Checked) -> str:
    """The same for all runs that went wrong in the same way."""
    return _digest(_key(one))


def message(verdict: Verdict) -> str:
    """What went wrong, without what differs from run to run."""
    divergence, failure = verdict.divergence, verdict.failure
    if divergence is not None:
        expected, actual = divergence.expected, divergence.actual
        recorded = _said(expected.kind, expected.name) if expected else "nothing"
        produced = _said(actual.kind, actual.name) if actual else "nothing"
        which = f" (another {', '.join(divergence.differing)})" if divergence.differing else ""
        return f"recorded: {recorded}; the code asks for: {produced}{which}"
    if failure is not None:
        return f"{failure.type}: {failure.message}"
    return verdict.reason


def _said(kind: str, name: str) -> str:
    """Timers and the like are numbered in turn, which says nothing about the cause."""
    return kind if not name or name.isdigit() else f"{kind} {name}"


def _key(one: Checked) -> tuple[str, ...]:
    site = one.verdict.call_site
    place = (site.file, str(site.line)) if site else ("", "")
    return (one.verdict.verdict, one.subject.workflow_type, *place, _what(one.verdict))


def _what(verdict: Verdict) -> str:
    """What went wrong, without numbers: a failure may name the run's own."""
    if verdict.verdict == "drift":
        return " ".join(sorted({_stable(drift.path) for drift in verdict.drift}))
    return _stable(message(verdict))


def _stable(text: str) -> str:
    return "".join("#" if char.isdigit() else char for char in text)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:12]
