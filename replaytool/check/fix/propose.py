"""Propose guards for the guilty edits of a report, and offer only what replays have proven."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path

from replaytool.check.base_branch import find_repository_folder
from replaytool.check.check_runs import CheckPlan, make_work_items
from replaytool.check.fix.change_ids import choose_change_id
from replaytool.check.fix.guards import CannotGuard, GuardWriter, VersionedFile
from replaytool.check.guilty.changed_files import ChangedFile, read_changed_files
from replaytool.check.guilty.edits import CodeEdit, cut_into_edits
from replaytool.check.guilty.find import hunk_of_edit
from replaytool.check.guilty.needs import can_parse, defined_names, find_needs
from replaytool.engines import CodeSpec, Options, engine_of
from replaytool.model.code_fix import CodeFix
from replaytool.model.guilty import GuiltyEdits
from replaytool.model.history import Run
from replaytool.model.simulation import Simulation
from replaytool.model.verdict import CheckReport
from replaytool.replay.code.git_worktrees import Worktrees
from replaytool.store import RunRow, Store
from replaytool.workers.pool import WorkerLimits, replay_all_runs

SimulateFreshRun = Callable[[Run, CodeSpec, Options, WorkerLimits], Simulation]
"""How a run goes from its start, as new code would run it, with the recorded results."""
_PASSES = ("ok", "drift")
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass
class _HeadCheckout:
    """A checkout that holds the changed files, and the runs that a fix must heal or keep."""

    folder: Path
    plan: CheckPlan
    files: Sequence[ChangedFile]
    edits: Sequence[CodeEdit]
    simulate: SimulateFreshRun

    def simulate_course(self, run: Run) -> tuple[object, ...]:
        """Return what a fresh run does with the files that stand there now."""
        found = self.simulate(run, self.plan.spec, self.plan.options, self.plan.limits)
        return (found.status, found.stopped, found.same, found.changes, found.result, found.again)

    def write_files(self, fixed: Mapping[str, str]) -> None:
        """Write the change, with these files in place of its own."""
        for one in self.files:
            place = self.folder / one.path
            text = fixed.get(one.path, one.after)
            if text is None:
                place.unlink(missing_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode("utf-8", "surrogateescape"))


def propose_fix(
    report: CheckReport,
    ref: str,
    store: Store,
    rows: Sequence[RunRow],
    plan: CheckPlan,
    simulate_fresh_run: SimulateFreshRun,
) -> CheckReport:
    """Return the report with a proven fix for its guilty edits, or with what hindered one."""
    if report.guilty is None or not report.guilty.found:
        return report
    with Worktrees(find_repository_folder(plan.spec)) as trees:
        commit = trees.find_merge_base(ref)
        spec = trees.check_out_code(plan.spec, commit, ref).spec
        assert spec.instead_of is not None
        there = Path(spec.instead_of[1])
        loaded = set(report.code.loaded) | {hunk.path for one in report.guilty.found for hunk in one.hunks}
        files = list(read_changed_files(trees, commit, there, lambda path: path in loaded))
        unchanged = _read_unchanged_files(trees, set(report.code.loaded) - {one.path for one in files})
        edits = [edit for one in files for edit in cut_into_edits(one.path, one.before, one.after)]
        head = _HeadCheckout(there, replace(plan, spec=spec), files, edits, simulate_fresh_run)
        try:
            fix = _fix_edits(report, head, unchanged, store, rows)
        except CannotGuard as reason:
            fix = CodeFix(note=f"no guard was written: {reason}")
    return replace(report, guilty=replace(report.guilty, fix=fix))


def _read_unchanged_files(trees: Worktrees, paths: set[str]) -> list[ChangedFile]:
    found = []
    for path in sorted(paths):
        place = trees.root / path
        if path.endswith(".py") and place.is_file():
            text = place.read_text(encoding="utf-8", errors="surrogateescape")
            found.append(ChangedFile(path, text, text))
    return found


def _fix_edits(
    report: CheckReport, head: _HeadCheckout, unchanged: Sequence[ChangedFile], store: Store, rows: Sequence[RunRow]
) -> CodeFix:
    assert report.guilty is not None
    guard = engine_of(rows[0].engine).change_guard()
    if guard is None:
        raise CannotGuard(f"runs of {engine_of(rows[0].engine).title} have no guards")
    files = {
        one.path: VersionedFile(one.path, one.before, one.after)
        for one in (*head.files, *unchanged)
        if one.before is not None and one.after is not None and _is_python(one)
    }
    writer = GuardWriter(files, guard)
    taken = {text for one in files.values() for text in re.findall(r"""["']([\w.-]+)["']""", one.after)}
    ids = []
    for found in report.guilty.found:
        change_id = choose_change_id(found, taken)
        taken.add(change_id)
        ids.append(change_id)
        _guard_set(writer, head, found, change_id)
    fixed = writer.finish_files()
    for path, text in fixed.items():
        if not can_parse(path, text):
            raise CannotGuard(f"the guarded {path} does not parse")
    hindrance, healed = _prove_fix(report, head, fixed, store, rows)
    if hindrance:
        return CodeFix(change_ids=tuple(ids), note=f"a guard was tried and is not offered: {hindrance}")
    diff = "".join(write_diff(path, files[path].after, text) for path, text in sorted(fixed.items()))
    return CodeFix(diff, True, tuple(ids), healed)


def _is_python(one: ChangedFile) -> bool:
    return one.path.endswith(".py") and can_parse(one.path, one.before) and can_parse(one.path, one.after)


def _guard_set(writer: GuardWriter, head: _HeadCheckout, found: GuiltyEdits, change_id: str) -> None:
    """Guard the edits of one set, and bring back the definitions that the old path needs."""
    guilty = {replace(one, commit="") for one in found.hunks}
    chosen = [edit for edit in head.edits if hunk_of_edit(edit) in guilty]
    if len(chosen) != len(guilty):
        raise CannotGuard("the edits are no longer in the files")
    old_names = {name for edit in chosen for name in _NAME.findall("".join(edit.removed))}
    for edit in head.edits:
        is_gone = edit.path in writer.files and not edit.added and edit not in chosen
        if is_gone and old_names & set(defined_names("".join(edit.removed))):
            chosen.append(edit)
    # What uses a new name runs only where the name is there.
    needs = find_needs(head.edits, {one.path: one.before for one in head.files})
    made = {index for index, edit in enumerate(head.edits) if edit in chosen}
    for index in sorted(needs.add_dependent(made) | made):
        writer.guard_edit(head.edits[index], change_id)


def _prove_fix(
    report: CheckReport, head: _HeadCheckout, fixed: Mapping[str, str], store: Store, rows: Sequence[RunRow]
) -> tuple[str, int]:
    """Return what hinders the fix, if anything, and how many broken runs it heals."""
    plan = head.plan
    broken = {key for one in (report.guilty.found if report.guilty else ()) for key in one.breaks}
    by_key = {row.run_key: row for row in rows}
    shortest = min((by_key[key] for key in broken), key=lambda row: (row.event_count, row.run_key))
    fresh = store.read_run(shortest)
    head.write_files({})
    expected = head.simulate_course(fresh)
    head.write_files(fixed)
    strategies = engine_of(rows[0].engine).strategies()
    engine = "both" if plan.engine == "auto" and "both" in strategies else plan.engine
    done = replay_all_runs(make_work_items(store, rows), plan.spec, plan.options, plan.limits, engine)
    before = {one.subject.run_key: one.verdict.verdict for one in report.runs}
    for key, verdict in done.verdicts.items():
        if key in broken and verdict.verdict not in _PASSES:
            return f"run {key} still is {verdict.verdict}", 0
        if before.get(key) in _PASSES and verdict.verdict not in _PASSES:
            return f"run {key} would be {verdict.verdict} with it", 0
    if head.simulate_course(fresh) != expected:
        return "a fresh run does not take the new path", 0
    return "", len(broken)


def write_diff(path: str, before: str, after: str) -> str:
    """Return a diff that `git apply` takes."""
    lines = []
    sides = (before.splitlines(keepends=True), after.splitlines(keepends=True))
    for line in unified_diff(*sides, f"a/{path}", f"b/{path}"):
        lines.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(lines)
