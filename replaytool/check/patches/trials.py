"""Replay runs with the calls of a patch changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from replaytool.check.check_runs import CheckPlan, make_work_items
from replaytool.check.patches.call_edits import CannotEdit, PatchFile, change_files
from replaytool.errors import ReplaytoolError
from replaytool.model.patches import Change, PatchTrial, TrialFailure
from replaytool.model.verdict import Verdict
from replaytool.store import RunRow, Store
from replaytool.workers.pool import replay_all_runs

_PASSES = ("ok", "drift")


def is_passing(verdict: Verdict | None) -> bool:
    """Return whether the run follows the code."""
    return verdict is not None and verdict.verdict in _PASSES


@dataclass
class PatchTrials:
    """The runs of a store, the code, and what the code as it is says about the runs."""

    store: Store
    plan: CheckPlan
    files: Sequence[PatchFile]
    present: dict[str, Verdict] = field(default_factory=dict)
    """By run key."""

    def replay_present(self, rows: Sequence[RunRow]) -> None:
        """Replay these runs with the code as it is, once."""
        self.present |= self.replay_edited([row for row in rows if row.run_key not in self.present], ())

    def replay_edited(self, rows: Sequence[RunRow], edited: Sequence[tuple[str, str]]) -> Mapping[str, Verdict]:
        """Replay runs with these texts in place of the files' own."""
        if not rows:
            return {}
        plan, spec = self.plan, replace(self.plan.spec, edited=tuple(edited))
        done = replay_all_runs(make_work_items(self.store, rows), spec, plan.options, plan.limits, plan.engine)
        if not done.complete:
            raise KeyboardInterrupt
        return done.verdicts

    def try_change(
        self, change_id: str, change: Change, open_rows: Sequence[RunRow], closed_rows: Sequence[RunRow]
    ) -> PatchTrial:
        """Replay the runs that pass now with the changed calls."""
        opened = [row for row in open_rows if is_passing(self.present.get(row.run_key))]
        closed = [row for row in closed_rows if is_passing(self.present.get(row.run_key))]
        try:
            edited = change_files(self.files, change_id, change)
            verdicts = self.replay_edited([*opened, *closed], edited)
        except CannotEdit as reason:
            return PatchTrial(change, 0, trouble=str(reason))
        except ReplaytoolError as error:
            return PatchTrial(change, 0, trouble=error.message)
        failing = [_describe_failure(row.run_key, verdicts.get(row.run_key)) for row in opened]
        broken = [row.run_key for row in closed if not is_passing(verdicts.get(row.run_key))]
        return PatchTrial(
            change, len(opened), tuple(one for one in failing if one is not None), len(closed), tuple(broken)
        )


def _describe_failure(run_key: str, verdict: Verdict | None) -> TrialFailure | None:
    if is_passing(verdict):
        return None
    if verdict is None:
        return TrialFailure(run_key, "unverified", None, "the run was not replayed")
    return describe_verdict(run_key, verdict)


def describe_verdict(run_key: str, verdict: Verdict) -> TrialFailure:
    """Return what is wrong with a run."""
    found = verdict.divergence or verdict.failure
    reason = verdict.reason or (verdict.failure.message if verdict.failure is not None else "")
    return TrialFailure(run_key, verdict.verdict, found.event_id if found is not None else None, reason)
