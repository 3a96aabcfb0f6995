"""Decide what may be done with a patch: keep it, mark it as deprecated now, or delete its calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from replaytool.check.patches.reachable_types import CodeTypes
from replaytool.check.patches.trials import PatchTrials, is_passing
from replaytool.model.patches import (
    OPEN,
    LastNeed,
    PatchCall,
    PatchMarker,
    PatchStatus,
    PatchTrial,
    RunCounts,
)
from replaytool.store import RunRow
from replaytool.text import count_noun

MOST_CLOSED = 200
"""Closed runs that are tried for each patch, the newest: they only tell until when queries need the call."""


@dataclass(frozen=True, slots=True)
class PatchRequest:
    """Which patches to judge, and what is known besides the store."""

    only: tuple[str, ...] = ()
    is_complete: bool = False
    """The store has every open run, so that a type without one needs nothing."""
    retention: timedelta | None = None
    """How long the server keeps closed runs."""
    wants_fix: bool = False

    def kept_since(self) -> datetime | None:
        """Return the time before which closed runs are gone; None if nobody knows."""
        return None if self.retention is None else datetime.now(UTC).replace(tzinfo=None) - self.retention


@dataclass(frozen=True)
class PatchCase:
    """What is known about one patch before any replay."""

    change_id: str
    calls: tuple[PatchCall, ...]
    markers: Mapping[str, Sequence[PatchMarker]]
    """Its markers, by run key."""
    rows: Sequence[RunRow]
    """The runs that can reach it, or have its marker."""
    unreadable: int
    """Calls whose ID cannot be read: each could be about this patch."""

    @property
    def open_rows(self) -> list[RunRow]:
        """The runs that go on."""
        return [row for row in self.rows if row.status == OPEN]

    @property
    def is_asked(self) -> bool:
        """Whether the code still has an old branch."""
        return any(not one.is_deprecated for one in self.calls)

    def has_marker(self, row: RunRow, *, is_deprecated: bool) -> bool:
        """Return whether the run has such a marker; one that is not deprecated decides."""
        markers = self.markers.get(row.run_key, ())
        return bool(markers) and all(one.is_deprecated for one in markers) == is_deprecated

    def choose_closed_rows(self, kept_since: datetime | None) -> list[RunRow]:
        """Return the newest closed runs that may need the call."""
        found = [
            row
            for row in self.rows
            if row.status != OPEN
            and (row.run_key not in self.markers if self.is_asked else self.has_marker(row, is_deprecated=False))
            and (kept_since is None or row.closed_at is None or row.closed_at >= kept_since)
        ]
        return sorted(found, key=_closing_time, reverse=True)[:MOST_CLOSED]

    def count_runs(self, *, are_open: bool) -> RunCounts:
        """Count the runs by their markers."""
        rows = [row for row in self.rows if (row.status == OPEN) == are_open]
        marked = sum(self.has_marker(row, is_deprecated=False) for row in rows)
        deprecated = sum(self.has_marker(row, is_deprecated=True) for row in rows)
        return RunCounts(marked, deprecated, len(rows) - marked - deprecated)


def _closing_time(row: RunRow) -> tuple[bool, datetime, str]:
    return row.closed_at is not None, row.closed_at or datetime.min, row.run_key


def judge_patch(case: PatchCase, types: CodeTypes, trials: PatchTrials, request: PatchRequest) -> PatchStatus:
    """Return the verdict on one patch, with the replays that prove it."""
    markers = [one for some in case.markers.values() for one in some]
    status = PatchStatus(
        case.change_id,
        tuple(sorted({row.workflow_type for row in case.rows})),
        case.calls,
        case.count_runs(are_open=True),
        case.count_runs(are_open=False),
        "keep",
        "",
        versions=tuple(sorted({one.version for one in markers if one.version is not None})),
    )
    if not case.calls:
        return _judge_marker_without_call(status, case, types, trials)
    if not case.markers:
        status = replace(status, findings=("no history has its marker",))
    open_rows = case.open_rows
    unverified = [row for row in open_rows if not is_passing(trials.present.get(row.run_key))]
    if unverified:
        first = trials.present.get(unverified[0].run_key)
        word = first.verdict if first is not None else "not replayed"
        return replace(
            status,
            reason=f"{count_noun(len(unverified), 'open run')} cannot be verified with the code as it is "
            f"({unverified[0].run_key} is {word}): correct that first",
        )
    if not open_rows and not request.is_complete:
        return replace(
            status,
            reason="no open run that can reach it was given, so nothing shows that it may go; "
            "load the open runs, or add --complete if there are none",
        )
    return _judge_by_trials(status, case, trials, request)


def _judge_by_trials(status: PatchStatus, case: PatchCase, trials: PatchTrials, request: PatchRequest) -> PatchStatus:
    """Replay with the calls changed, and then without them."""
    closed = case.choose_closed_rows(request.kept_since())
    opened, done = case.open_rows, list[PatchTrial]()
    if case.is_asked:
        done.append(trials.try_change(case.change_id, "deprecated", opened, closed))
        if not done[0].is_proven:
            what = "take" if len(done[0].failing) != 1 else "takes"
            reason = done[0].trouble or f"{count_noun(len(done[0].failing), 'open run')} {what} the old branch"
            return _finish(status, case, done, request, reason)
    done.append(trials.try_change(case.change_id, "without", opened, closed if not case.is_asked else ()))
    last = done[-1]
    shown = f"{count_noun(last.open_runs, 'open run')} " + ("replay" if last.open_runs != 1 else "replays")
    if last.is_proven:
        caution = (
            "workers with the code as it is write markers that code without the call refuses: "
            "stop them first, or deploy it as deprecated in between"
            if case.is_asked
            else ""
        )
        return _finish(replace(status, verdict="delete", caution=caution), case, done, request, f"{shown} without it")
    have = "have" if len(last.failing) != 1 else "has"
    refused = last.trouble or f"{count_noun(len(last.failing), 'open run')} {have} its marker and not replay without it"
    refused = refused.replace("and not replay", "and would not replay")
    if case.is_asked:
        shown = f"{count_noun(done[0].open_runs, 'open run')} " + ("replay" if done[0].open_runs != 1 else "replays")
        reason = f"{shown} with the patch deprecated; {refused}"
        return _finish(replace(status, verdict="deprecate now"), case, done, request, reason)
    return _finish(status, case, done, request, refused)


def _finish(
    status: PatchStatus, case: PatchCase, done: Sequence[PatchTrial], request: PatchRequest, reason: str
) -> PatchStatus:
    """Return the status with the last run that needs what the first trial took away."""
    by_key = {row.run_key: row for row in case.rows}
    failing = [by_key[one.run_key] for one in done[0].failing]
    closed = [by_key[key] for key in done[0].closed_failing]
    last = max(failing, key=lambda row: (row.started_at or datetime.min, row.run_key), default=None)
    last = last or max(closed, key=_closing_time, default=None)
    need = None
    if last is not None:
        until = last.closed_at + request.retention if last.closed_at and request.retention else None
        need = LastNeed(last.run_key, last.workflow_id, last.run_id, last.status, last.closed_at, until)
    return replace(status, reason=reason, trials=tuple(done), last_need=need)


def _judge_marker_without_call(
    status: PatchStatus, case: PatchCase, types: CodeTypes, trials: PatchTrials
) -> PatchStatus:
    """Tell a call that is gone from one that cannot be read, and from the code of another project."""
    if not any(types.defines_type(row.workflow_type) for row in case.rows):
        named = ", ".join(status.types)
        return replace(status, verdict=None, reason=f"this code does not define {named}")
    if case.unreadable:
        calls = count_noun(case.unreadable, "call")
        return replace(status, reason=f"no call with this ID was found; the ID of {calls} is known only at run time")
    marked = [row for row in case.open_rows if case.has_marker(row, is_deprecated=False)]
    broken = [row for row in marked if not is_passing(trials.present.get(row.run_key))]
    if marked and not broken:
        runs = count_noun(len(marked), "open run")
        return replace(
            status, reason=f"{runs} with its marker replay, so its call stands in a file that was not loaded"
        )
    finding = "its call is gone from the code"
    reason = (
        f"{count_noun(len(broken), 'open run')} with its marker do not replay: put the call back"
        if broken
        else "no open run needs it"
    )
    return replace(status, verdict=None, reason=reason, findings=(finding,))
