"""List every patch of the runs and of the code, and judge each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from replaytool.check.check_runs import CheckPlan
from replaytool.check.patches.call_edits import CannotEdit, PatchFile, change_files, read_patch_files
from replaytool.check.patches.judge import PatchCase, PatchRequest, judge_patch
from replaytool.check.patches.reachable_types import CodeTypes
from replaytool.check.patches.remove_branches import propose_removal
from replaytool.check.patches.trials import PatchTrials
from replaytool.engines import CodeSpec, engine_names, engine_of, require_part
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.patches import OPEN, Change, PatchMarker, PatchReport
from replaytool.replay.code.user_code import CodeFinder
from replaytool.store import RunRow, Store
from replaytool.text import count_noun, escape_controls
from replaytool.workers.pool import load_code_info

_AT_ONCE = 1000
Markers = Mapping[str, Mapping[str, Sequence[PatchMarker]]]
"""Markers by patch, and then by run key."""


def survey_patches(store: Store, rows: Sequence[RunRow], plan: CheckPlan, request: PatchRequest) -> PatchReport:
    """Return every patch with its verdict, and the fix if one is wanted."""
    names = sorted({row.engine for row in rows})
    able = [name for name in names if engine_of(name).patch_model() is not None]
    if names and not able:
        require_part(engine_of(names[0]), None, "searched for patches: its code has none")
    notes = [f"runs of {engine_of(name).title} have no patches" for name in names if name not in able]
    rows = [row for row in rows if row.engine in able]
    markers = _read_markers(store, rows)
    files, unread, types = _read_code(plan.spec)
    notes += [f"{path} could not be read, so its calls are not known" for path in unread]
    shown = [one for file in files for one in file.calls]
    unreadable = [one for one in shown if one.change_id is None]
    ids = sorted({one.change_id for one in shown if one.change_id is not None} | markers.keys())
    for wanted in request.only:
        if wanted not in ids:
            raise make_unknown_patch_error(wanted, ids, "neither the code nor a history has")
    chosen = [one for one in ids if one in request.only or not request.only]
    cases = [_make_case(one, files, markers.get(one, {}), rows, types, len(unreadable)) for one in chosen]
    trials = PatchTrials(store, plan, files)
    since = request.kept_since()
    needed = {
        row.run_key: row
        for case in cases
        for row in (*case.open_rows, *case.choose_closed_rows(since) * bool(case.calls))
    }
    trials.replay_present([row for row in needed.values() if types.defines_type(row.workflow_type)])
    left = [row for row in rows if row.status == OPEN and not types.defines_type(row.workflow_type)]
    if left:
        named = ", ".join(sorted({row.workflow_type for row in left})[:5])
        notes.append(f"{count_noun(len(left), 'open run')} of types that this code does not define: {named}")
    judged = [judge_patch(case, types, trials, request) for case in cases]
    fix = propose_removal(judged, cases, trials) if request.wants_fix else None
    opened = sum(row.status == OPEN for row in rows)
    return PatchReport(judged, unreadable, opened, len(rows) - opened, len(files), plan.engine, tuple(notes), fix)


def change_patch_in_spec(spec: CodeSpec, change_id: str, change: Change) -> tuple[CodeSpec, list[str]]:
    """Return the code with the calls of a patch changed, and where they stand; for one check."""
    files, _, _ = _read_code(spec)
    calls = [one for file in files for one in file.calls if one.change_id == change_id]
    if change == "deprecated":
        calls = [one for one in calls if not one.is_deprecated]
    known = sorted({one.change_id for file in files for one in file.calls if one.change_id is not None})
    if not calls:
        raise make_unknown_patch_error(change_id, known, "no call in the loaded code has")
    try:
        edited = change_files(files, change_id, change)
    except CannotEdit as reason:
        raise ReplaytoolError(
            str(reason), "write the call outside of the f-string", code=ErrorCode.CHECK_PATCH_UNREADABLE
        ) from reason
    return replace(spec, edited=edited), [f"{one.path}:{one.line}" for one in calls]


def make_unknown_patch_error(change_id: str, known: Sequence[str], who: str) -> ReplaytoolError:
    """Return the error for an ID that nothing has."""
    listed = ", ".join(escape_controls(one) for one in known[:10]) or "none"
    return ReplaytoolError(
        f"{who} the patch {escape_controls(change_id)!r}",
        f"known patches: {listed}",
        code=ErrorCode.CHECK_PATCH_UNKNOWN,
    )


def _read_code(spec: CodeSpec) -> tuple[list[PatchFile], list[str], CodeTypes]:
    info = load_code_info(spec)
    engines = [engine_of(name) for name in engine_names()]
    models = [model for one in engines if (model := one.patch_model()) is not None]
    files, unread = read_patch_files(info, spec.folder, models)
    return files, unread, CodeTypes(info, files, list(_list_finders()))


def _list_finders() -> Iterator[CodeFinder]:
    for name in engine_names():
        if (finder := engine_of(name).code_finder()) is not None:
            yield finder


def _read_markers(store: Store, rows: Sequence[RunRow]) -> Markers:
    found: dict[str, dict[str, list[PatchMarker]]] = {}
    for name in sorted({row.engine for row in rows}):
        model = engine_of(name).patch_model()
        assert model is not None
        keys = [row.run_key for row in rows if row.engine == name]
        # Other markers may hold whole results, so the runs come a part at a time.
        for start in range(0, len(keys), _AT_ONCE):
            for key, events in store.read_events_of_types(model.marker_types, keys[start : start + _AT_ONCE]):
                for marker in model.read_markers(events):
                    found.setdefault(marker.change_id, {}).setdefault(key, []).append(marker)
    return found


def _make_case(
    change_id: str,
    files: Sequence[PatchFile],
    markers: Mapping[str, Sequence[PatchMarker]],
    rows: Sequence[RunRow],
    types: CodeTypes,
    unreadable: int,
) -> PatchCase:
    calls = tuple(one for file in files for one in file.calls if one.change_id == change_id)
    reached = [types.find_types_of_call(one.outer_class) for one in calls]
    listed = [
        row
        for row in rows
        if row.run_key in markers
        or any(types.defines_type(row.workflow_type) if one is None else row.workflow_type in one for one in reached)
    ]
    return PatchCase(change_id, calls, markers, listed, unreadable)
