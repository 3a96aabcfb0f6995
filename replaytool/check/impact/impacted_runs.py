"""Checking a change by those runs only that it can touch: the rest do with the new code what they did with the old.

The code at the merge base is replayed under a tracer, or what that showed is taken from the store. Then it is decided
without running anything for which runs the change can make a difference, and those are replayed with the new code.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from replaytool.check.base_branch import place_of, that_exist
from replaytool.check.baseline import against
from replaytool.check.check_runs import Plan, Progress, check, fingerprint_of, pictured, works_of
from replaytool.check.impact.decide import Before, to_replay
from replaytool.check.impact.module_graph import Version, version_of
from replaytool.engines.temporal.events.deployment import load_subjects
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import Base, Checked, CodeInfo, Report, Verdict, as_json, verdict_from_json
from replaytool.replay.code.git_worktrees import Worktrees
from replaytool.replay.line_coverage import Reach
from replaytool.store import RunRow, Store
from replaytool.workers.coverage_job import REACH, Reached
from replaytool.workers.pool import code_info, do_all
from replaytool.workers.worker_main import WATCHES_LOADING

_log = logging.getLogger(__name__)


def check_impacted(
    ref: str, store: Store, rows: Sequence[RunRow], plan: Plan, progress: Progress | None = None
) -> Report:
    """The report on all these runs against the merge base with `ref`, with as few replays as are needed for it."""
    shard = None if plan.shard is None else replace(plan.shard, all_runs=len(rows))
    rows = [row for row in rows if shard is None or shard.has(row.run_key)]
    plan = replace(plan, shard=None)
    report = _checked(ref, store, rows, plan, progress)
    return replace(report, shard=shard)


def _checked(ref: str, store: Store, rows: Sequence[RunRow], plan: Plan, progress: Progress | None) -> Report:
    with Worktrees(place_of(plan.spec)) as trees:
        commit = trees.merge_base(ref)
        spec = that_exist(trees.placed(plan.spec, commit, ref).spec)
        assert spec.instead_of is not None
        trees_of = _Trees(Path(spec.instead_of[1]), trees.root)
        try:
            done = _before(store, rows, replace(plan, spec=spec), trees_of, progress)
        except ReplaytoolError as error:
            return replace(check(store, rows, plan, progress), base=Base(ref, commit, error.message))
        if not done.complete:
            return Report(done.info, (), complete=False, base=Base(ref, commit))
        info = code_info(plan.spec)
        after = version_of(info, trees.root, plan.spec)
        types = {row.run_key: row.workflow_type for row in rows}
        reasons = to_replay(Before(done.version, done.info, done.runs, types), after)
    for key, reason in reasons.items():
        _log.info("replayed: %s: %s", key, reason)
    report = check(store, [row for row in rows if row.run_key in reasons], plan, progress)
    report = replace(report, code=info)
    return _whole(report, store, rows, done, Base(ref, commit, left_out=len(rows) - len(reasons)))


def _whole(report: Report, store: Store, rows: Sequence[RunRow], done: _Done, base: Base) -> Report:
    """The report with those that were left out in their places; what they do is what they did."""
    replayed = {one.subject.run_key: one for one in report.runs}
    note = f"not replayed: nothing that this run comes by has changed since {base.commit[:12]}"
    runs, before = [], {}
    for key, subject in load_subjects(store, rows).items():
        if key in replayed or report.complete:
            verdict = done.runs[key].verdict
            before[key] = Checked(subject, verdict)
            left = replace(verdict, notes=(*verdict.notes, note))
            runs.append(replayed.get(key) or Checked(subject, left))
    report = replace(report, runs=runs, causes=pictured(store, runs), base=base)
    return against(report, before)


@dataclass(frozen=True, slots=True)
class _Trees:
    """Where the code before the change is, and where the checkout is."""

    there: Path
    here: Path

    def moved(self, verdict: Verdict) -> Verdict:
        """The verdict with the places of the checkout, as the other tree is gone in a moment."""
        text = json.dumps(as_json(verdict))
        cwd = Path.cwd()
        if cwd.is_relative_to(self.here):
            inside = self.there / cwd.relative_to(self.here)
            text = text.replace(_quoted(f"{inside}/"), "")
        return verdict_from_json(json.loads(text.replace(_quoted(f"{self.there}/"), _quoted(f"{self.here}/"))))


def _quoted(path: str) -> str:
    return json.dumps(path)[1:-1]


@dataclass(frozen=True, slots=True)
class _Done:
    """What is known about the code before the change."""

    info: CodeInfo
    version: Version
    runs: Mapping[str, Reached]
    complete: bool = True


def _before(store: Store, rows: Sequence[RunRow], plan: Plan, trees: _Trees, progress: Progress | None) -> _Done:
    watching = {"engine": plan.engine, WATCHES_LOADING: True}
    info = code_info(plan.spec, watching)
    version = version_of(info, trees.there, plan.spec)
    is_kept = store.path is not None and plan.use_known
    fingerprint = fingerprint_of(info, plan)
    known = _known(store, fingerprint, rows) if is_kept else {}
    waiting = [row for row in rows if row.run_key not in known]

    def told(key: str, answer: Reached) -> None:
        if progress:
            progress(key, answer.verdict)

    done = do_all(REACH, works_of(store, waiting), plan.spec, plan.options, plan.limits, watching, told)
    fresh = {
        key: Reached(trees.moved(one.verdict), _placed(one.reach, version.place)) for key, one in done.found.items()
    }
    if is_kept and fresh:
        _keep(store, fingerprint, fresh)
    return _Done(info, version, known | fresh, done.complete)


def _placed(reach: Reach, place: Callable[[str], str]) -> Reach:
    """With paths in the tree: the tree itself is another one each time."""
    return Reach(
        {place(file): lines for file, lines in reach.lines.items()},
        {},
        tuple(map(place, reach.shared)),
        tuple(map(place, reach.read)),
    )


def _known(store: Store, fingerprint: str, rows: Sequence[RunRow]) -> dict[str, Reached]:
    keys = [row.run_key for row in rows]
    verdicts = store.verdicts(fingerprint, keys)
    return {
        key: Reached(verdict_from_json(verdicts[key]), msgspec.json.decode(reach, type=Reach))
        for key, reach in store.reaches(fingerprint, keys).items()
        if key in verdicts
    }


def _keep(store: Store, fingerprint: str, found: Mapping[str, Reached]) -> None:
    """What could not be kept is found out again the next time."""
    try:
        with store.writing() as writer:
            writer.save_verdicts(fingerprint, {key: as_json(one.verdict) for key, one in found.items()})
            reaches = {key: msgspec.json.encode(one.reach).decode() for key, one in found.items()}
            writer.save_reaches(fingerprint, reaches)
    except ReplaytoolError as error:
        _log.warning("what the code at the base did was not kept: %s; %s", error.message, error.hint)
