"""Patches: the markers of histories, the calls of the code, and what replays have shown of taking a call away."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Change = Literal["deprecated", "without"]
"""How a trial changes a call: it marks the patch as deprecated and answers yes, or it is taken out."""
PatchWord = Literal["keep", "deprecate now", "delete"]
OPEN = "Running"
"""The status of a run that goes on."""


@dataclass(frozen=True, slots=True)
class PatchMarker:
    """What a history says about a patch."""

    change_id: str
    event_id: int
    is_deprecated: bool = False
    version: int | None = None
    """The version, where the SDK records versions and no patches."""


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call about a patch in the syntax of a file."""

    node: ast.expr
    change_id: str | None
    """None if the ID is known only when the code runs."""
    is_deprecated: bool
    """Whether the call marks the patch as deprecated, and asks nothing."""
    deprecating: str = ""
    """The source of the function that marks a patch as deprecated, as this file can name it."""
    is_plain: bool = True
    """Whether a fix may write `deprecating` into the file."""


@dataclass(frozen=True, slots=True)
class PatchCall:
    """A call about a patch in the code."""

    path: str
    """Relative to the checkout."""
    line: int
    function: str
    change_id: str | None
    is_deprecated: bool
    outer_class: str = ""
    """The class around it."""


@dataclass(frozen=True, slots=True)
class TrialFailure:
    """A run that does not replay with a changed call."""

    run_key: str
    verdict: str
    event_id: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class PatchTrial:
    """What became of the runs that were replayed with a changed call."""

    change: Change
    open_runs: int
    """Open runs that were replayed."""
    failing: tuple[TrialFailure, ...] = ()
    """Open runs that replay with the code as it is, and not with the changed call."""
    closed_runs: int = 0
    closed_failing: tuple[str, ...] = ()
    """Keys of closed runs that the changed call breaks: a query to them would fail."""
    trouble: str = ""
    """Why nothing could be replayed."""

    @property
    def is_proven(self) -> bool:
        """Whether all open runs replay."""
        return not self.failing and not self.trouble


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Runs by what their histories say about a patch."""

    marked: int = 0
    """Runs with a marker that is not deprecated."""
    deprecated: int = 0
    unmarked: int = 0
    """Runs of the patch's workflow types without a marker."""


@dataclass(frozen=True, slots=True)
class LastNeed:
    """The last run that needs what the call still does."""

    run_key: str
    workflow_id: str | None
    run_id: str | None
    status: str
    closed_at: datetime | None
    kept_until: datetime | None
    """When its retention ends; None for an open run, and where nobody said how long closed runs are kept."""


@dataclass(frozen=True, slots=True)
class PatchStatus:
    """One patch: its markers, its calls, and what may be done with it."""

    change_id: str
    types: tuple[str, ...]
    """The workflow types that can reach it, as far as the code and the markers tell."""
    calls: tuple[PatchCall, ...]
    open: RunCounts
    closed: RunCounts
    verdict: PatchWord | None
    """None for a marker without a call."""
    reason: str
    caution: str = ""
    trials: tuple[PatchTrial, ...] = ()
    last_need: LastNeed | None = None
    findings: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()
    """The recorded versions, where the SDK records versions."""


@dataclass(frozen=True, slots=True)
class PatchFix:
    """The diff that removes dead branches, and what replays have shown of it."""

    diff: str = ""
    removed: tuple[str, ...] = ()
    """The patches whose code it changes."""
    left: Mapping[str, str] = field(default_factory=dict)
    """Patches that it leaves, and why."""
    replayed: int = 0
    """Open runs that replay with it."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PatchReport:
    """Every patch of the runs and of the code."""

    patches: Sequence[PatchStatus]
    unreadable: Sequence[PatchCall]
    """Calls whose ID is known only when the code runs."""
    open_runs: int
    closed_runs: int
    files: int
    """Files of the code that were searched for calls."""
    engine: str
    """How the runs were replayed."""
    notes: tuple[str, ...] = ()
    fix: PatchFix | None = None

    @property
    def has_findings(self) -> bool:
        """Whether a marker has no call, or a call no marker."""
        return any(one.findings for one in self.patches)
