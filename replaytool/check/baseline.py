"""Find out which findings are new: the base branch or an accepted baseline file makes the others known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from replaytool.check.causes import find_causes, finding_fingerprint, group_findings
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.verdict import CheckedRun, CheckReport

_SCHEMA = 1


class _BaselineEntry(msgspec.Struct):
    fingerprint: str


class _BaselineFile(msgspec.Struct):
    schema: int
    findings: list[_BaselineEntry]


def mark_known_findings(report: CheckReport, before: Mapping[str, CheckedRun]) -> CheckReport:
    """Return the report with each run's verdict at the base; a finding that is the same there is known."""
    return replace_runs(report, [_mark_known(one, before.get(one.subject.run_key)) for one in report.runs])


def _mark_known(one: CheckedRun, before: CheckedRun | None) -> CheckedRun:
    if before is None:
        return one
    is_same = one.verdict.verdict != "ok" and finding_fingerprint(one) == finding_fingerprint(before)
    return replace(one, base=before.verdict.verdict, known=one.known or is_same)


def replace_runs(report: CheckReport, runs: Sequence[CheckedRun]) -> CheckReport:
    """Return the report with these runs, and recount how many runs of each cause are known."""
    counted = {cause.id: cause for cause in find_causes(runs)}
    told = [replace(counted[cause.id], timeline=cause.timeline) for cause in report.causes]
    return replace(report, runs=runs, causes=told)


def read_baseline(path: Path) -> frozenset[str]:
    """Return the fingerprints of the accepted findings; raise ReplaytoolError for an unusable file."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_BaselineFile)
    except OSError as error:
        raise ReplaytoolError(
            f"cannot read the baseline {path}: {error.strerror}",
            "run check with --update-baseline to create it",
            code=ErrorCode.CHECK_BASELINE_UNREADABLE,
        ) from error
    except msgspec.MsgspecError as error:
        raise ReplaytoolError(
            f"{path} is not a baseline file: {error}",
            "run check with --update-baseline to write it again",
            code=ErrorCode.CHECK_BASELINE_INVALID,
        ) from error
    if found.schema != _SCHEMA:
        raise ReplaytoolError(
            f"the baseline {path} has version {found.schema}; this replaytool reads version {_SCHEMA}",
            "run check with --update-baseline to write it again",
            code=ErrorCode.CHECK_BASELINE_VERSION,
        )
    return frozenset(one.fingerprint for one in found.findings)


def accept_findings(report: CheckReport, accepted: frozenset[str]) -> CheckReport:
    """Return the report with every accepted finding marked as known."""
    runs = [
        replace(one, known=one.known or (one.verdict.verdict != "ok" and finding_fingerprint(one) in accepted))
        for one in report.runs
    ]
    return replace_runs(report, runs)


def count_fixed_findings(report: CheckReport, accepted: frozenset[str]) -> int:
    """Count the findings of the baseline that no run has any more."""
    return len(accepted - {finding_fingerprint(one) for one in report.runs if one.verdict.verdict != "ok"})


def render_baseline(report: CheckReport) -> str:
    """Return the baseline file that accepts everything that fails now.

    Entries are sorted and hold no line numbers, so the file changes only when findings change.
    """
    found: dict[str, dict[str, Any]] = {}
    for one in group_findings(report.runs):
        if any(report.is_failing(replace(run, known=False)) for run in one.runs):
            cause = one.cause
            found[cause.fingerprint] = {
                "fingerprint": cause.fingerprint,
                "verdict": cause.verdict,
                "workflow_type": one.example_run.subject.workflow_type,
                "message": cause.message,
            }
    entries = [found[key] for key in sorted(found)]
    return json.dumps({"schema": _SCHEMA, "findings": entries}, indent=1) + "\n"
