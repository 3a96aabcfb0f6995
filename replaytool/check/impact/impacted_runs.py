"""Check a change with only the runs that it can affect: the others do what they did with the old code.

The code at the merge base is replayed under a tracer, unless the store has the result already. Then the affected runs
are decided without running any code, and only those are replayed with the new code.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from replaytool.check.base_branch import drop_missing_files, find_repository_folder, require_own_modules
from replaytool.check.baseline import mark_known_findings
from replaytool.check.cause_charts import causes_with_charts
from replaytool.check.check_runs import (
    CheckPlan,
    Progress,
    check_runs,
    make_work_items,
    verdict_fingerprint,
)
from replaytool.check.impact.decide import BaseReplays, find_affected_runs
from replaytool.check.impact.module_graph import CodeVersion, read_version
from replaytool.check.subjects import load_subjects
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import (
    BaseCode,
    CheckedRun,
    CheckReport,
    CodeInfo,
    Verdict,
    to_report_json,
    verdict_from_json,
)
from replaytool.replay.code.git_worktrees import Worktrees
from replaytool.replay.line_coverage import ReplayCoverage
from replaytool.store import RunRow, Store
from replaytool.workers.pool import load_code_info, run_job
from replaytool.workers.replay_job import REACH, CoveredVerdict
from replaytool.workers.worker_main import WATCHES_LOADING

_log = logging.getLogger(__name__)


def check_impacted(
    ref: str, store: Store, rows: Sequence[RunRow], plan: CheckPlan, progress: Progress | None = None
) -> CheckReport:
    """Return the report on all runs against the merge base with `ref`, with as few replays as possible."""
    shard = None if plan.shard is None else replace(plan.shard, all_runs=len(rows))
    rows = [row for row in rows if shard is None or shard.contains_run(row.run_key)]
    plan = replace(plan, shard=None)
    report = _replay_affected_runs(ref, store, rows, plan, progress)
    return replace(report, shard=shard)


def _replay_affected_runs(
    ref: str, store: Store, rows: Sequence[RunRow], plan: CheckPlan, progress: Progress | None
) -> CheckReport:
    with Worktrees(find_repository_folder(plan.spec)) as trees:
        commit = trees.find_merge_base(ref)
        spec = drop_missing_files(trees.check_out_code(plan.spec, commit, ref).spec)
        assert spec.instead_of is not None
        trees_of = _BaseTree(Path(spec.instead_of[1]), trees.root)
        try:
            done = _replay_base(store, rows, replace(plan, spec=spec), trees_of, progress)
        except ReplaytoolError as error:
            return replace(check_runs(store, rows, plan, progress), base=BaseCode(ref, commit, error.message))
        if not done.complete:
            return CheckReport(done.info, (), complete=False, base=BaseCode(ref, commit))
        info = load_code_info(plan.spec)
        require_own_modules(info, done.info)
        after = read_version(info, trees.root, plan.spec)
        types = {row.run_key: row.workflow_type for row in rows}
        reasons = find_affected_runs(BaseReplays(done.version, done.info, done.runs, types), after)
    for key, reason in reasons.items():
        _log.info("replay needed: %s: %s", key, reason)
    report = check_runs(store, [row for row in rows if row.run_key in reasons], plan, progress)
    report = replace(report, code=info)
    base = BaseCode(ref, commit, left_out=len(rows) - len(reasons), files=done.info.loaded)
    return _add_skipped_runs(report, store, rows, done, base)


def _add_skipped_runs(
    report: CheckReport, store: Store, rows: Sequence[RunRow], done: _BaseResults, base: BaseCode
) -> CheckReport:
    """Add the runs that were not replayed; their verdict is the one at the base."""
    replayed = {one.subject.run_key: one for one in report.runs}
    note = f"not replayed: no code that this run reaches has changed since {base.commit[:12]}"
    runs, before = [], {}
    for key, subject in load_subjects(store, rows).items():
        if key in replayed or report.complete:
            verdict = done.runs[key].verdict
            before[key] = CheckedRun(subject, verdict)
            left = replace(verdict, notes=(*verdict.notes, note))
            runs.append(replayed.get(key) or CheckedRun(subject, left))
    report = replace(report, runs=runs, causes=causes_with_charts(store, runs), base=base)
    return mark_known_findings(report, before)


@dataclass(frozen=True, slots=True)
class _BaseTree:
    """Where the checkout of the base is (`there`), and where the user's checkout is (`here`)."""

    there: Path
    here: Path

    def move_to_checkout(self, verdict: Verdict) -> Verdict:
        """Return the verdict with paths of the user's checkout: the base's checkout is removed soon."""
        text = json.dumps(to_report_json(verdict))
        cwd = Path.cwd()
        if cwd.is_relative_to(self.here):
            inside = self.there / cwd.relative_to(self.here)
            text = text.replace(_json_quoted(f"{inside}/"), "")
        return verdict_from_json(
            json.loads(text.replace(_json_quoted(f"{self.there}/"), _json_quoted(f"{self.here}/")))
        )


def _json_quoted(path: str) -> str:
    return json.dumps(path)[1:-1]


@dataclass(frozen=True, slots=True)
class _BaseResults:
    """What is known about the code at the base."""

    info: CodeInfo
    version: CodeVersion
    runs: Mapping[str, CoveredVerdict]
    complete: bool = True


def _replay_base(
    store: Store, rows: Sequence[RunRow], plan: CheckPlan, trees: _BaseTree, progress: Progress | None
) -> _BaseResults:
    watching = {"engine": plan.engine, WATCHES_LOADING: True}
    info = load_code_info(plan.spec, watching)
    version = read_version(info, trees.there, plan.spec)
    is_kept = store.path is not None and plan.use_known
    fingerprint = verdict_fingerprint(info, plan)
    known = _load_coverage(store, fingerprint, rows) if is_kept else {}
    waiting = [row for row in rows if row.run_key not in known]

    def report_progress(key: str, answer: CoveredVerdict) -> None:
        if progress:
            progress(key, answer.verdict)

    done = run_job(
        REACH, make_work_items(store, waiting), plan.spec, plan.options, plan.limits, watching, report_progress
    )
    fresh = {
        key: CoveredVerdict(trees.move_to_checkout(one.verdict), _relative_coverage(one.reach, version.path_in_tree))
        for key, one in done.found.items()
    }
    if is_kept and fresh:
        _save_coverage(store, fingerprint, fresh)
    return _BaseResults(info, version, known | fresh, done.complete)


def _relative_coverage(reach: ReplayCoverage, place: Callable[[str], str]) -> ReplayCoverage:
    """Return the coverage with paths relative to the tree: the checkout has another path each time."""
    return ReplayCoverage(
        {place(file): lines for file, lines in reach.lines.items()},
        {},
        tuple(map(place, reach.shared)),
        tuple(map(place, reach.read)),
    )


def _load_coverage(store: Store, fingerprint: str, rows: Sequence[RunRow]) -> dict[str, CoveredVerdict]:
    keys = [row.run_key for row in rows]
    verdicts = store.read_verdicts(fingerprint, keys)
    return {
        key: CoveredVerdict(verdict_from_json(verdicts[key]), msgspec.json.decode(reach, type=ReplayCoverage))
        for key, reach in store.read_line_coverage(fingerprint, keys).items()
        if key in verdicts
    }


def _save_coverage(store: Store, fingerprint: str, found: Mapping[str, CoveredVerdict]) -> None:
    """Save verdicts and coverage; a failure to save only costs time at the next check."""
    try:
        with store.open_writer() as writer:
            writer.save_verdicts(fingerprint, {key: to_report_json(one.verdict) for key, one in found.items()})
            reaches = {key: msgspec.json.encode(one.reach).decode() for key, one in found.items()}
            writer.save_line_coverage(fingerprint, reaches)
    except ReplaytoolError as error:
        _log.warning("cannot save the results of the base: %s", error.format_line())
