"""Find the guilty edits of a change whose report shows runs that break."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from replaytool.check.base_branch import find_repository_folder
from replaytool.check.check_runs import CheckPlan, make_work_items
from replaytool.check.guilty.changed_files import ChangedFile, find_commit_of_edit, read_changed_files
from replaytool.check.guilty.edits import CodeEdit, apply_edits, cut_into_edits, is_same_code
from replaytool.check.guilty.needs import EditNeeds, find_needs
from replaytool.check.guilty.search import EditSearch, OutOfTime
from replaytool.check.guilty.versions import VersionCheckout, WatchedRuns, finding_sign, proves_nothing
from replaytool.engines import quick_strategy
from replaytool.model.guilty import EditHunk, GuiltyEdits, GuiltySearch
from replaytool.model.verdict import CallSite, CheckedRun, CheckReport, Verdict, Word
from replaytool.replay.code.git_worktrees import Worktrees
from replaytool.store import RunRow, Store
from replaytool.text import count_noun

_MOST_WATCHED = 12
_FAR = 1_000_000
_MOST_OTHER_FILES = 200


@dataclass(frozen=True, slots=True)
class GuiltyRequest:
    """What to search for, and for how long."""

    includes_drift: bool = False
    wants_fix: bool = False
    seconds: float = 120.0


@dataclass(frozen=True)
class _Change:
    """The edits that can matter, and the files that they edit as they are at the base."""

    edits: Sequence[CodeEdit]
    before: Mapping[str, str | None]

    @classmethod
    def from_files(cls, files: Sequence[ChangedFile]) -> _Change:
        edits = [
            edit
            for one in files
            for edit in cut_into_edits(one.path, one.before, one.after)
            if edit.is_file or not is_same_code(one.path, one.before, apply_edits(one.before, [edit]))
        ]
        paths = {one.path for one in edits}
        return cls(edits, {one.path: one.before for one in files if one.path in paths})


@dataclass
class _Confirmed:
    """The sets that were found so far."""

    sets: list[tuple[frozenset[int], bool]] = field(default_factory=list)

    def add_set(self, made: frozenset[int], is_separate: bool) -> None:
        if not any(known <= made for known, _ in self.sets):
            self.sets = [(known, separate) for known, separate in self.sets if not made < known]
            self.sets.append((made, is_separate))


def find_guilty_edits(
    report: CheckReport, ref: str, store: Store, rows: Sequence[RunRow], plan: CheckPlan, request: GuiltyRequest
) -> CheckReport:
    """Return the report with the edits that break its runs, or with the reason why none is named."""
    deadline = time.monotonic() + request.seconds
    breaking: frozenset[Word] = report.failing | (frozenset({"drift"}) if request.includes_drift else frozenset())
    broken = [one for one in report.runs if is_newly_broken(report, one, breaking)]
    if reason := _reason_against_search(report, broken, breaking):
        return replace(report, guilty=GuiltySearch(note=reason))
    with Worktrees(find_repository_folder(plan.spec)) as trees:
        commit = trees.find_merge_base(ref)
        spec = trees.check_out_code(plan.spec, commit, ref).spec
        assert spec.instead_of is not None
        there = Path(spec.instead_of[1])
        plan = replace(plan, spec=spec)
        loaded = set(report.code.loaded) | set(report.base.files if report.base else ())
        files = list(read_changed_files(trees, commit, there, lambda path: path in loaded))
        by_key = {row.run_key: row for row in rows}
        affected = [by_key[one.subject.run_key] for one in broken]
        works = {work.key: work for work in make_work_items(store, affected)}
        change = _Change.from_files(files)
        checkout = VersionCheckout(there, plan, change.edits, change.before, works, breaking, deadline)
        watched = _choose_watched(broken)
        engine = quick_strategy({row.engine for row in affected}, plan.engine)
        found = _search_checkout(checkout, watched, broken, engine)
        if found is None:  # what matters may be a file that is read and not imported
            others = read_changed_files(trees, commit, there, lambda path: path not in loaded)
            change = _Change.from_files([*files, *list(others)[:_MOST_OTHER_FILES]])
            checkout = replace(checkout, edits=change.edits, before=change.before)
            found = _search_checkout(checkout, watched, broken, engine)
        if found is None:
            return replace(report, guilty=_outside_of_change(checkout))
        named = [_with_commits(one, trees, commit) for one in found.found]
    return replace(report, guilty=replace(found, found=tuple(named)))


def is_newly_broken(report: CheckReport, one: CheckedRun, breaking: frozenset[Word]) -> bool:
    """Return whether the change breaks the run: the base does not fail in the same way."""
    return one.verdict.verdict in breaking and not one.known and not report.is_counted_apart(one)


def _reason_against_search(report: CheckReport, broken: Sequence[CheckedRun], breaking: frozenset[Word]) -> str:
    if report.base is None or not report.complete:
        return "the check was interrupted"
    if report.base.trouble:
        return f"the code at {report.base.ref} could not be replayed, so no edit can be told from it"
    if broken:
        return ""
    older = sum(one.verdict.verdict in breaking and one.known for one in report.runs)
    if older:
        return f"no edit of this change: {count_noun(older, 'run')} failed in the same way at {report.base.ref}"
    return "no run breaks that passed with the base"


def _outside_of_change(checkout: VersionCheckout) -> GuiltySearch:
    """Return the answer for a change whose text is not what breaks the runs."""
    return GuiltySearch(
        note="no edit of this change: with all of them made, the code of the base passes; what differs is outside of "
        "the files that git compares: ignored files, or what is installed",
        edits=len(checkout.edits),
        versions=checkout.versions,
        replays=checkout.replays,
    )


def _choose_watched(broken: Sequence[CheckedRun]) -> list[CheckedRun]:
    """Return the shortest run of each kind of finding: it stands for the others while the search goes on."""
    shortest: dict[str, CheckedRun] = {}
    for one in sorted(broken, key=lambda one: (one.subject.events, one.subject.run_key)):
        shortest.setdefault(f"{one.subject.workflow_type} {finding_sign(one.verdict)}", one)
    return list(shortest.values())[:_MOST_WATCHED]


def _search_checkout(
    checkout: VersionCheckout, watched: Sequence[CheckedRun], broken: Sequence[CheckedRun], engine: str
) -> GuiltySearch | None:
    """Search the edits of a checkout; return None if they are not what breaks the runs."""
    keys = [one.subject.run_key for one in watched]
    confirmed, is_complete = _Confirmed(), True
    needs = find_needs(checkout.edits, checkout.before)
    try:
        base = checkout.replay_version(frozenset(), keys, engine)
        head = checkout.replay_version(checkout.everything, keys, engine)
        if isinstance(base, str) or isinstance(head, str):
            return None
        keys = [key for key in keys if head[key].verdict in checkout.breaking]
        if not keys:
            return None
        runs = WatchedRuns(checkout, base, {key: head[key] for key in keys}, engine)
        sites = [one.verdict.call_site for one in watched if one.verdict.call_site is not None]
        order = _order_edits(checkout.edits, sites)
        EditSearch(needs, order, keys, runs, confirmed.add_set).find_sets()
    except OutOfTime:
        is_complete = False
    checkout.deadline = float("inf")
    found = [_confirm_set(checkout, needs, made, separate, broken) for made, separate in confirmed.sets]
    found = sorted((one for one in found if one.breaks or not one.alone), key=lambda one: -len(one.breaks))
    explained = {key for one in found for key in one.breaks}
    return GuiltySearch(
        tuple(found),
        _describe_search(found, is_complete),
        is_complete,
        len(checkout.edits),
        checkout.versions,
        checkout.replays,
        unexplained=tuple(one.subject.run_key for one in broken if one.subject.run_key not in explained),
    )


def _describe_search(found: Sequence[GuiltyEdits], is_complete: bool) -> str:
    if not is_complete:
        return (
            "the time limit ended the search; these are the edits found so far"
            if found
            else "the time limit ended the search"
        )
    if any(not one.alone for one in found):
        return "some edits could not be separated: a part of them does not run without the others"
    return "" if found else "no set of edits was found that breaks a run alone"


def _order_edits(edits: Sequence[CodeEdit], sites: Sequence[CallSite]) -> list[int]:
    """Return the edits, those nearest to where the runs part from their records first."""
    lines = [(one.file, one.line) for site in sites for one in (site, *site.chain)]

    def distance(index: int) -> int:
        edit = edits[index]
        near = [abs(edit.new[0] + 1 - line) for file, line in lines if file.endswith(edit.path)]
        return min(near, default=_FAR)

    return sorted(range(len(edits)), key=lambda index: (distance(index), index))


def _confirm_set(
    checkout: VersionCheckout, needs: EditNeeds, made: frozenset[int], is_separate: bool, broken: Sequence[CheckedRun]
) -> GuiltyEdits:
    """Replay all broken runs with only these edits, and those that break with the change without them.

    What needs one of the edits is left out with them: it does not run alone.
    """
    heads = {one.subject.run_key: one.verdict for one in broken}
    alone = checkout.replay_version(made, list(heads), checkout.plan.engine)
    breaks = [] if isinstance(alone, str) else [key for key in heads if _is_broken(checkout, alone[key], heads[key])]
    rest = checkout.everything - needs.add_dependent(made)
    without = checkout.replay_version(rest, breaks, checkout.plan.engine) if breaks else {}
    heals = [] if isinstance(without, str) else [key for key in breaks if without[key].verdict not in checkout.breaking]
    hunks = tuple(hunk_of_edit(checkout.edits[one]) for one in sorted(made))
    return GuiltyEdits(hunks, tuple(breaks), is_separate and bool(breaks), tuple(heals))


def _is_broken(checkout: VersionCheckout, verdict: Verdict, head: Verdict) -> bool:
    return verdict.verdict in checkout.breaking and not proves_nothing(verdict, head)


def hunk_of_edit(edit: CodeEdit) -> EditHunk:
    """Return the edit with lines counted as `git diff` does: from 1, and the line before for a side without lines."""
    (a, b), (c, d) = edit.old, edit.new
    return EditHunk(edit.path, a + (b > a), b - a, c + (d > c), d - c, edit.removed, edit.added)


def _with_commits(found: GuiltyEdits, trees: Worktrees, base: str) -> GuiltyEdits:
    hunks = tuple(replace(one, commit=find_commit_of_edit(trees, base, one)) for one in found.hunks)
    return replace(found, hunks=hunks)
