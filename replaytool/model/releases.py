"""What `check --with` found: one check for each release, and the runs whose verdict changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Overlay:
    """A folder with another release, in front of what is installed."""

    requirement: str
    folder: str
    versions: Mapping[str, str]
    """What is another version than in this environment."""
    note: str = ""
    """Where the versions of everything else come from."""


@dataclass(frozen=True, slots=True)
class RunUnderRelease:
    """The verdict of one run."""

    run_key: str
    workflow_id: str
    verdict: str
    reason: str
    event_id: int | None = None

    @property
    def place(self) -> tuple[str, int | None]:
        """Return what two releases must agree on."""
        return self.verdict, self.event_id


@dataclass(frozen=True, slots=True)
class ReleaseCheck:
    """The check of all runs under one release."""

    name: str
    """The requirement, or "as installed"."""
    versions: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    exit_code: int = 0
    trouble: str = ""
    """Why nothing could be checked."""
    summary: Mapping[str, float] = field(default_factory=dict)
    runs: Sequence[RunUnderRelease] = ()


@dataclass(frozen=True, slots=True)
class ReleaseChange:
    """A run whose verdict differs from the one with what is installed."""

    run_key: str
    workflow_id: str
    release: str
    before: str
    after: str
    reason: str
    event_id: int | None = None


def list_release_changes(checks: Sequence[ReleaseCheck]) -> list[ReleaseChange]:
    """Return the changes of each release against the first one, which is what is installed."""
    if not checks:
        return []
    known = {one.run_key: one for one in checks[0].runs}
    return [
        _compare_verdicts(known[one.run_key], one, check.name)
        for check in checks[1:]
        for one in check.runs
        if one.run_key in known and known[one.run_key].place != one.place
    ]


def _compare_verdicts(before: RunUnderRelease, after: RunUnderRelease, release: str) -> ReleaseChange:
    event_id = before.event_id if after.event_id is None else after.event_id
    reason = after.reason or before.reason
    return ReleaseChange(after.run_key, after.workflow_id, release, before.verdict, after.verdict, reason, event_id)
