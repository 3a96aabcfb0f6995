"""Several reports, of shards or of other parts of the same check, as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from replaytool.check.causes import causes
from replaytool.check.check_runs import MOST_PICTURES
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import SCHEMA, WORDS, Base, Cause, Checked, CodeInfo, Report, report_from_json
from replaytool.text import visible

_LATEST = "~"
"""Sorts behind every time: where the database has none, it puts the run at the end."""


def read(path: Path) -> Report:
    """A JSON report."""
    hint = "`replaytool check --format json:FILE` writes one"
    try:
        plain = json.loads(path.read_bytes())
    except OSError as error:
        raise ReplaytoolError(f"cannot read {path}: {error.strerror}", hint) from error
    except ValueError as error:
        raise ReplaytoolError(f"{path} is no JSON: {visible(str(error))}", hint) from error
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
        raise ReplaytoolError(f"{path} is no report of version {SCHEMA}", hint)
    try:
        return report_from_json(plain)
    except KeyError as error:
        raise ReplaytoolError(f"{path} is no report: it has no {visible(str(error))}", hint) from error
    except (msgspec.ValidationError, TypeError) as error:
        raise ReplaytoolError(f"{path} is no report: {visible(str(error))}", hint) from error


def merged(reports: Sequence[Report]) -> Report:
    """One report, as one check of all the runs would have made it."""
    code = _code(reports)
    _complete(reports)
    best: dict[str, Checked] = {}
    for one in (one for report in reports for one in report.runs):
        known = best.get(one.subject.run_key)
        if known is None or WORDS.index(one.verdict.verdict) > WORDS.index(known.verdict.verdict):
            best[one.subject.run_key] = one
    runs = sorted(best.values(), key=_place)
    return Report(
        code, runs, _pictured(causes(runs), reports), sum(report.seconds for report in reports),
        all(report.complete for report in reports), frozenset(word for report in reports for word in report.failing),
        any(report.include_pinned for report in reports), _base(reports),
    )  # fmt: skip


def _base(reports: Sequence[Report]) -> Base | None:
    """The first part's; the runs that were left out of any are left out of the whole."""
    found = [one.base for one in reports if one.base]
    return replace(found[0], left_out=sum(one.left_out for one in found)) if found else None


def _place(one: Checked) -> tuple[str, bool, str, str]:
    """The order in which a store lists its runs."""
    subject = one.subject
    return (subject.started_at or _LATEST, subject.workflow_id is None, subject.workflow_id or "", subject.run_key)


def _code(reports: Sequence[Report]) -> CodeInfo:
    """A part without runs has loaded no code."""
    found = {report.code.fingerprint: report.code for report in reports if report.code.fingerprint}
    if len(found) > 1:
        raise ReplaytoolError("these reports are of different code", "merge the reports of one check")
    return next(iter(found.values()), CodeInfo())


def _complete(reports: Sequence[Report]) -> None:
    """A shard whose job died must not make a check pass."""
    shards = [report.shard for report in reports if report.shard is not None]
    for of in {shard.of for shard in shards}:
        missing = sorted(set(range(1, of + 1)) - {shard.number for shard in shards if shard.of == of})
        if missing:
            listed = ", ".join(f"{number}/{of}" for number in missing)
            raise ReplaytoolError(f"the report of shard {listed} is missing", "give the reports of all shards")


def _pictured(found: Sequence[Cause], reports: Sequence[Report]) -> list[Cause]:
    pictures = {(cause.id, cause.example): cause.timeline for report in reports for cause in report.causes}
    return [
        replace(cause, timeline=pictures.get((cause.id, cause.example)) if number < MOST_PICTURES else None)
        for number, cause in enumerate(found)
    ]
