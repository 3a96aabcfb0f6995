"""Patches as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from replaytool.model.patches import (
    LastNeed,
    PatchCall,
    PatchFix,
    PatchReport,
    PatchStatus,
    PatchTrial,
    RunCounts,
)
from replaytool.render.tables import format_table
from replaytool.text import count_noun, escape_controls

_COLUMNS = (
    "patch",
    "verdict",
    "open_with",
    "open_deprecated",
    "open_without",
    "closed_with",
    "closed_without",
    "calls",
)
_MOST_FAILING = 3


def list_patch_lines(found: PatchReport) -> Iterator[str]:
    """Return the report for people: a table, the reasons, the findings, and the fix."""
    looked = f"{count_noun(found.open_runs, 'open run')}, {count_noun(found.closed_runs, 'closed run')}"
    patches = "1 patch" if len(found.patches) == 1 else f"{len(found.patches)} patches"
    yield f"{patches} in {looked} and {count_noun(found.files, 'file')} of code"
    if found.patches:
        yield format_table(_COLUMNS, (_make_row(one) for one in found.patches)).rstrip("\n")
    for one in found.patches:
        yield ""
        yield from _list_status_lines(one)
    if found.unreadable:
        yield ""
        yield "calls whose ID is known only when the code runs:"
        yield from (f"  {_format_call(one)}" for one in found.unreadable)
    yield from (f"note: {escape_controls(one)}" for one in found.notes)
    if found.fix is not None:
        yield ""
        yield from _list_fix_lines(found.fix)


def _make_row(one: PatchStatus) -> tuple[object, ...]:
    closed = one.closed.marked + one.closed.deprecated
    return (
        one.change_id,
        one.verdict or "-",
        one.open.marked,
        one.open.deprecated,
        one.open.unmarked,
        closed,
        one.closed.unmarked,
        len(one.calls),
    )


def _format_call(call: PatchCall) -> str:
    what = "deprecated" if call.is_deprecated else "asked"
    return escape_controls(f"{call.path}:{call.line} {call.function or '<module>'} ({what})")


def _list_status_lines(one: PatchStatus) -> Iterator[str]:
    yield f"{escape_controls(one.change_id)}: {one.verdict or 'no call'}: {escape_controls(one.reason)}"
    yield from (f"  call: {_format_call(call)}" for call in one.calls)
    for trial in one.trials:
        yield f"  replayed {'as deprecated' if trial.change == 'deprecated' else 'without it'}: {_format_trial(trial)}"
        for run in trial.failing[:_MOST_FAILING]:
            place = f" at event {run.event_id}" if run.event_id is not None else ""
            yield f"    {run.run_key} {run.verdict}{place}"
        if len(trial.failing) > _MOST_FAILING:
            yield f"    and {len(trial.failing) - _MOST_FAILING} more"
    if one.last_need is not None:
        yield f"  last run that needs it: {_format_need(one.last_need)}"
    if one.versions:
        yield f"  versions: {', '.join(map(str, one.versions))}"
    if one.caution:
        yield f"  caution: {one.caution}"
    yield from (f"  finding: {text}" for text in one.findings)


def _format_trial(trial: PatchTrial) -> str:
    if trial.trouble:
        return escape_controls(trial.trouble)
    text = f"{trial.open_runs - len(trial.failing)} of {count_noun(trial.open_runs, 'open run')} replay"
    if trial.closed_failing:
        text += f"; {count_noun(len(trial.closed_failing), 'closed run')} would fail a query"
    return text


def _format_need(need: LastNeed) -> str:
    name = escape_controls(f"{need.run_key} ({need.workflow_id or 'unknown workflow ID'})")
    if need.closed_at is None:
        return f"{name}, {need.status}"
    until = f"kept until {need.kept_until:%Y-%m-%d %H:%M}Z" if need.kept_until else "its retention is unknown"
    return f"{name}, closed {need.closed_at:%Y-%m-%d %H:%M}Z, {until}"


def _list_fix_lines(fix: PatchFix) -> Iterator[str]:
    if fix.note:
        yield f"fix: {escape_controls(fix.note)}"
    if fix.diff:
        named = ", ".join(escape_controls(one) for one in fix.removed)
        yield f"fix, proven by replay: {count_noun(fix.replayed, 'open run')} replay without the branches of {named}"
        yield from (f"  {escape_controls(line)}" for line in fix.diff.splitlines())
    yield from (f"not changed: {escape_controls(f'{name}: {why}')}" for name, why in fix.left.items())


def patches_to_json(found: PatchReport) -> dict[str, Any]:
    """Return the report as plain data."""
    return {
        "runs": {"open": found.open_runs, "closed": found.closed_runs},
        "files": found.files,
        "engine": found.engine,
        "patches": [_status_to_json(one) for one in found.patches],
        "unreadable": [_call_to_json(one) for one in found.unreadable],
        "notes": list(found.notes),
        "fix": _fix_to_json(found.fix) if found.fix is not None else None,
    }


def _status_to_json(one: PatchStatus) -> dict[str, Any]:
    return {
        "id": one.change_id,
        "verdict": one.verdict,
        "reason": one.reason,
        "caution": one.caution,
        "types": list(one.types),
        "calls": [_call_to_json(call) for call in one.calls],
        "open": _counts_to_json(one.open),
        "closed": _counts_to_json(one.closed),
        "trials": {trial.change: _trial_to_json(trial) for trial in one.trials},
        "last_need": _need_to_json(one.last_need) if one.last_need is not None else None,
        "findings": list(one.findings),
        "versions": list(one.versions),
    }


def _call_to_json(call: PatchCall) -> dict[str, Any]:
    return {"file": call.path, "line": call.line, "function": call.function, "deprecated": call.is_deprecated}


def _counts_to_json(counts: RunCounts) -> dict[str, int]:
    return {"with": counts.marked, "deprecated": counts.deprecated, "without": counts.unmarked}


def _trial_to_json(trial: PatchTrial) -> dict[str, Any]:
    return {
        "replayed": trial.open_runs,
        "failing": [
            {"run_key": one.run_key, "verdict": one.verdict, "event_id": one.event_id, "reason": one.reason}
            for one in trial.failing
        ],
        "closed_replayed": trial.closed_runs,
        "closed_failing": list(trial.closed_failing),
        "trouble": trial.trouble,
    }


def _need_to_json(need: LastNeed) -> dict[str, Any]:
    return {
        "run_key": need.run_key,
        "workflow_id": need.workflow_id,
        "run_id": need.run_id,
        "status": need.status,
        "closed_at": need.closed_at,
        "kept_until": need.kept_until if need.kept_until or need.closed_at is None else "unknown",
    }


def _fix_to_json(fix: PatchFix) -> dict[str, Any]:
    return {
        "diff": fix.diff,
        "removed": list(fix.removed),
        "left": dict(fix.left),
        "replayed": fix.replayed,
        "note": fix.note,
    }
