"""Which findings are new: those that the code before the change has too, or that a baseline lists, are known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from replaytool.check.causes import causes, findings, fingerprint
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import Checked, Report

_SCHEMA = 1


class _Entry(msgspec.Struct):
    fingerprint: str


class _Baseline(msgspec.Struct):
    schema: int
    findings: list[_Entry]


def against(report: Report, before: Mapping[str, Checked]) -> Report:
    """Tell each run what was said about it before; the same finding is known."""
    return with_known(report, [_told(one, before.get(one.subject.run_key)) for one in report.runs])


def _told(one: Checked, before: Checked | None) -> Checked:
    if before is None:
        return one
    is_same = one.verdict.verdict != "ok" and fingerprint(one) == fingerprint(before)
    return replace(one, base=before.verdict.verdict, known=one.known or is_same)


def with_known(report: Report, runs: Sequence[Checked]) -> Report:
    """The report with these runs, its causes counting anew how many of theirs are known."""
    counted = {cause.id: cause for cause in causes(runs)}
    told = [replace(counted[cause.id], timeline=cause.timeline) for cause in report.causes]
    return replace(report, runs=runs, causes=told)


def read_baseline(path: Path) -> frozenset[str]:
    """The fingerprints of the findings that somebody has accepted."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Baseline)
    except OSError as error:
        raise ReplaytoolError(
            f"cannot read the baseline {path}: {error.strerror}", "--update-baseline writes one"
        ) from error
    except msgspec.MsgspecError as error:
        raise ReplaytoolError(f"{path} is no baseline: {error}", "--update-baseline writes it anew") from error
    if found.schema != _SCHEMA:
        raise ReplaytoolError(
            f"the baseline {path} is of version {found.schema}, not {_SCHEMA}", "--update-baseline writes it anew"
        )
    return frozenset(one.fingerprint for one in found.findings)


def with_baseline(report: Report, accepted: frozenset[str]) -> Report:
    """The report in which every finding that was accepted is known."""
    runs = [
        replace(one, known=one.known or (one.verdict.verdict != "ok" and fingerprint(one) in accepted))
        for one in report.runs
    ]
    return with_known(report, runs)


def gone(report: Report, accepted: frozenset[str]) -> int:
    """How many findings of the baseline no run has any more."""
    return len(accepted - {fingerprint(one) for one in report.runs if one.verdict.verdict != "ok"})


def baseline(report: Report) -> str:
    """All that fails now, to be accepted; sorted and without lines, so that the file changes when findings do."""
    found: dict[str, dict[str, Any]] = {}
    for one in findings(report.runs):
        if any(report.fails(replace(run, known=False)) for run in one.runs):
            cause = one.cause
            found[cause.fingerprint] = {
                "fingerprint": cause.fingerprint,
                "verdict": cause.verdict,
                "workflow_type": one.example.subject.workflow_type,
                "message": cause.message,
            }
    entries = [found[key] for key in sorted(found)]
    return json.dumps({"schema": _SCHEMA, "findings": entries}, indent=1) + "\n"
