"""Checks for a front end: start one, stop it, and read the results of the last one."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from replaytool.check import check_runs as check
from replaytool.check.causes import cause_id, find_causes
from replaytool.config import Settings
from replaytool.engines import Options, make_code_spec
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.verdict import Cause, CheckedRun, CheckReport, Subject, Verdict, verdict_from_json
from replaytool.replay.compare.drift import check_policy
from replaytool.store import Store, filter_runs


@dataclass(frozen=True, slots=True)
class CauseWithRuns:
    """A cause with every run that it affects."""

    cause: Cause
    runs: tuple[CheckedRun, ...]


@dataclass(frozen=True, slots=True)
class CheckOverview:
    """The results of the last check of each run in the store."""

    findings: tuple[CauseWithRuns, ...]
    counts: Mapping[str, int]
    """Number of runs by verdict."""
    at: datetime | None
    """When the latest of these checks ran."""


class StoreChecks:
    """The checks of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    @property
    def configured_code(self) -> tuple[str, ...]:
        """The workflow code that the settings name."""
        return self._settings.workflows

    def read_overview(self) -> CheckOverview:
        """Return the causes that the last check of each run found."""
        rows = self._store.read_newest_verdicts()
        checked = [_read_checked_run(row) for row in rows]
        runs: dict[str, list[CheckedRun]] = defaultdict(list)
        for one in checked:
            runs[cause_id(one)].append(one)
        findings = tuple(CauseWithRuns(cause, tuple(runs[cause.id])) for cause in find_causes(checked))
        counts: Counter[str] = Counter(one.verdict.verdict for one in checked)
        return CheckOverview(findings, counts, max((row["checked_at"] for row in rows), default=None))

    def read_verdict(self, run_key: str) -> Verdict | None:
        """Return the last verdict on this run, or None if it was not checked since it was loaded."""
        rows = self._store.read_newest_verdicts(run_key)
        return _read_checked_run(rows[0]).verdict if rows else None

    def run_check(
        self, run_keys: Sequence[str], workflows: Sequence[str], progress: check.Progress, stop: threading.Event
    ) -> CheckReport:
        """Replay these runs in child processes and keep the verdicts. Setting `stop` ends it early."""
        if not workflows:
            raise ReplaytoolError(
                "no workflow code given",
                'enter a module or a path, or set workflows = ["…"] in [tool.replaytool]',
                code=ErrorCode.CODE_NOT_NAMED,
            )
        spec = make_code_spec(self._settings, () if tuple(workflows) == self.configured_code else workflows)
        plan = check.CheckPlan(spec, Options(policy=check_policy(self._settings.drift)))
        rows = self._store.list_runs(filter_runs(run_keys=run_keys))
        return check.check_runs(self._store, rows, plan, progress, stop)


def _read_checked_run(row: Mapping[str, Any]) -> CheckedRun:
    names = ("run_key", "source", "workflow_id", "run_id", "workflow_type")
    subject = Subject(**{name: row[name] for name in names}, events=row["event_count"])
    return CheckedRun(subject, verdict_from_json(row["detail"]))
