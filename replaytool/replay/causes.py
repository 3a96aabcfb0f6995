"""Equal findings of many runs, brought together: people mend causes, not runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from replaytool.verdict import Cause, Checked, Verdict

_QUIET = {"ok", "drift"}


def causes(checked: Iterable[Checked]) -> tuple[Cause, ...]:
    """One for each way in which runs went wrong, the most frequent first."""
    found: dict[str, Cause] = {}
    for one in checked:
        if one.verdict.verdict in _QUIET:
            continue
        key = cause_id(one)
        known = found.get(key)
        if known is None:
            found[key] = Cause(
                id=key,
                verdict=one.verdict.verdict,
                runs=1,
                message=message(one.verdict),
                call_site=one.verdict.call_site,
                example=one.subject.run_key,
            )
        else:
            found[key] = replace(known, runs=known.runs + 1, example=min(known.example, one.subject.run_key))
    return tuple(sorted(found.values(), key=lambda cause: (-cause.runs, cause.id)))


def cause_id(one: Checked) -> str:
    """The same for all runs that went wrong in the same way."""
    return hashlib.sha256("\0".join(_key(one)).encode("utf-8", "replace")).hexdigest()[:12]


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
    return (one.verdict.verdict, one.subject.workflow_type, *place, _stable(message(one.verdict)))


def _stable(text: str) -> str:
    """The text without its numbers: a failure may name the run's own."""
    return "".join("#" if char.isdigit() else char for char in text)
