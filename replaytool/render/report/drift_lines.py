"""Drift in the text report: one cause for all runs in which the same line of code gives another value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from replaytool.check.causes import mask_digits
from replaytool.model.verdict import ADDED_COMMAND, CheckedRun, CheckReport, Drift
from replaytool.render.code_frame import format_call_site
from replaytool.render.report.summary import format_run_name, shorten_value
from replaytool.text import count_noun, escape_controls

_MOST_CAUSES = 8
_ARGUMENT = re.compile(r"\w*(\[\d+\])?")
"""The argument is a part of the code; indexes further inside differ from run to run."""


@dataclass(slots=True)
class _DriftCause:
    """Differences in one field of what one line of code issues."""

    mark: str
    workflow_type: str
    path: str
    where: str
    example: CheckedRun
    drift: Drift
    runs: set[str] = field(default_factory=set)
    differences: int = 0


def describe_drift(drift: Drift) -> str:
    """Format one difference in one line."""
    where = f" ({format_call_site(drift.call_site)})" if drift.call_site else ""
    return escape_controls(f"event {drift.event_id}: {drift.path}: {_describe_change(drift)}") + where


def list_drift_lines(report: CheckReport) -> Iterator[str]:
    """Describe each cause in two lines: what differs, where and how often, and an example."""
    found = sorted(_group_drift(report), key=lambda one: (one.mark != "~ drift", -len(one.runs)))
    for one in found[:_MOST_CAUSES]:
        at = f" at {one.where}" if one.where else ""
        what = "a command more" if one.path == ADDED_COMMAND else one.path
        yield escape_controls(f"{one.mark}: {one.workflow_type} {what}{at} ({count_noun(len(one.runs), 'run')})")
        more = f", and {count_noun(one.differences - 1, 'other difference')}" if one.differences > 1 else ""
        place = escape_controls(f"event {one.drift.event_id} of {format_run_name(one.example)}")
        yield f"  {place}: {escape_controls(_describe_change(one.drift))}{more}"
    if len(found) > _MOST_CAUSES:
        yield f"~ … and {count_noun(len(found) - _MOST_CAUSES, 'more place')} with drift; --format json lists all"


def _group_drift(report: CheckReport) -> list[_DriftCause]:
    found: dict[tuple[str, ...], _DriftCause] = {}
    for one in report.runs:
        if one.verdict.verdict == "drift":
            apart = "· pinned: drift" if report.is_counted_apart(one) else "~ drift"
            mark = "· known: drift" if one.known else apart
            for drift in one.verdict.drift:
                where = format_call_site(drift.call_site) if drift.call_site else ""
                key = (mark, one.subject.workflow_type, _mask_indexes(drift.path), where)
                cause = found.setdefault(key, _DriftCause(*key[:2], drift.path, where, one, drift))
                cause.runs.add(one.subject.run_key)
                cause.differences += 1
    return list(found.values())


def _mask_indexes(path: str) -> str:
    argument = _ARGUMENT.match(path)
    kept = argument[0] if argument else ""
    return kept + mask_digits(path[len(kept) :])


def _describe_change(drift: Drift) -> str:
    if drift.path == ADDED_COMMAND:
        return f"no event records {shorten_value(drift.produced)}: a worker sends it only with its next task"
    return f"{shorten_value(drift.recorded)} → {shorten_value(drift.produced)}"
