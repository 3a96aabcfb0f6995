"""Merge reports of shards, or of other parts of one check, into one report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from replaytool.check.cause_charts import causes_with_known_charts
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.verdict import SCHEMA, WORDS, BaseCode, CheckedRun, CheckReport, CodeInfo, report_from_json
from replaytool.text import escape_controls

_LATEST = "~"
"""Sorts after every time: the database lists runs without a start time last."""


def read_report(path: Path) -> CheckReport:
    """Return the JSON report of a file; raise ReplaytoolError for anything else."""
    hint = "write one with `replaytool check --format json:FILE`"
    try:
        plain = json.loads(path.read_bytes())
    except OSError as error:
        raise ReplaytoolError(
            f"cannot read {path}: {error.strerror}", hint, code=ErrorCode.CHECK_REPORT_UNREADABLE
        ) from error
    except ValueError as error:
        raise ReplaytoolError(
            f"{path} is not JSON: {escape_controls(str(error))}", hint, code=ErrorCode.CHECK_REPORT_INVALID
        ) from error
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
        raise ReplaytoolError(f"{path} is not a report of version {SCHEMA}", hint, code=ErrorCode.CHECK_REPORT_VERSION)
    try:
        return report_from_json(plain)
    except KeyError as error:
        raise ReplaytoolError(
            f"{path} is not a report: the key {escape_controls(str(error))} is missing",
            hint,
            code=ErrorCode.CHECK_REPORT_INVALID,
        ) from error
    except (msgspec.ValidationError, TypeError) as error:
        raise ReplaytoolError(
            f"{path} is not a report: {escape_controls(str(error))}", hint, code=ErrorCode.CHECK_REPORT_INVALID
        ) from error


def merge_reports(reports: Sequence[CheckReport]) -> CheckReport:
    """Return the report that one check of all the runs would have made."""
    code = _common_code(reports)
    _check_shards_complete(reports)
    best: dict[str, CheckedRun] = {}
    for one in (one for report in reports for one in report.runs):
        known = best.get(one.subject.run_key)
        if known is None or WORDS.index(one.verdict.verdict) > WORDS.index(known.verdict.verdict):
            best[one.subject.run_key] = one
    runs = sorted(best.values(), key=_store_order)
    return CheckReport(
        code, runs, causes_with_known_charts(runs, reports), sum(report.seconds for report in reports),
        all(report.complete for report in reports), frozenset(word for report in reports for word in report.failing),
        any(report.include_pinned for report in reports), _merge_bases(reports), origin=reports[0].origin,
    )  # fmt: skip


def _merge_bases(reports: Sequence[CheckReport]) -> BaseCode | None:
    """Return the base of the first report; runs that any part left out are summed up."""
    found = [one.base for one in reports if one.base]
    return replace(found[0], left_out=sum(one.left_out for one in found)) if found else None


def _store_order(one: CheckedRun) -> tuple[str, bool, str, str]:
    """Return a sort key for the order in which a store lists its runs."""
    subject = one.subject
    return (subject.started_at or _LATEST, subject.workflow_id is None, subject.workflow_id or "", subject.run_key)


def _common_code(reports: Sequence[CheckReport]) -> CodeInfo:
    """Return the code of all reports. A shard without runs has loaded none."""
    found = {report.code.fingerprint: report.code for report in reports if report.code.fingerprint}
    if len(found) > 1:
        raise ReplaytoolError(
            "these reports are about different code",
            "merge the reports of one check",
            code=ErrorCode.CHECK_REPORTS_DIFFER,
        )
    return next(iter(found.values()), CodeInfo())


def _check_shards_complete(reports: Sequence[CheckReport]) -> None:
    """Raise ReplaytoolError for a missing shard: a dead job must not make a check pass."""
    shards = [report.shard for report in reports if report.shard is not None]
    for of in {shard.of for shard in shards}:
        missing = sorted(set(range(1, of + 1)) - {shard.number for shard in shards if shard.of == of})
        if missing:
            listed = ", ".join(f"{number}/{of}" for number in missing)
            raise ReplaytoolError(
                f"the report of shard {listed} is missing",
                "give the reports of all shards",
                code=ErrorCode.CHECK_SHARD_MISSING,
            )
