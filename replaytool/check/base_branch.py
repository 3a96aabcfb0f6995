"""What the code before a change says about the same runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from replaytool.check.baseline import against
from replaytool.check.check_runs import Plan, Progress, check
from replaytool.engines import CodeSpec
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import Base, Report
from replaytool.replay.code.git_worktrees import Worktrees
from replaytool.store import RunRow, Store


def against_base(
    report: Report, ref: str, store: Store, rows: Sequence[RunRow], plan: Plan, progress: Progress | None = None
) -> Report:
    """The report with what the code at the merge base with `ref` says about the same runs."""
    with Worktrees(place_of(plan.spec)) as trees:
        commit = trees.merge_base(ref)
        spec = that_exist(trees.placed(plan.spec, commit, ref).spec)
        try:
            # What is kept must not point into a checkout that is gone tomorrow.
            before = check(store, rows, replace(plan, spec=spec, keep=False), progress)
        except ReplaytoolError as error:
            return replace(report, base=Base(ref, commit, error.message))
    report = replace(report, base=Base(ref, commit), complete=report.complete and before.complete)
    return against(report, {one.subject.run_key: one for one in before.runs})


def place_of(spec: CodeSpec) -> Path:
    """A folder of the repository that the code is in."""
    folder = Path(spec.folder or ".")
    paths = [folder / item for item in spec.workflows if os.sep in item or item.endswith(".py")]
    found = next((path for path in paths if path.exists()), folder)
    return found if found.is_dir() else found.parent


def that_exist(spec: CodeSpec) -> CodeSpec:
    """A file that the change adds was not there before; what it holds had no code then."""
    kept = [
        item
        for item in spec.workflows
        if not (os.sep in item or item.endswith(".py")) or (Path(spec.folder) / item).exists()
    ]
    return replace(spec, workflows=tuple(kept or spec.workflows))
