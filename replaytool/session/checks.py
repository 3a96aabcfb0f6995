"""What a front end may do about checks: start one, stop it, and read what the last one found."""

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
from replaytool.engines import CodeSpec, Options
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import Cause, CheckedRun, CheckReport, Subject, Verdict, verdict_from_json
from replaytool.replay.compare.drift import check_policy
from replaytool.store import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause with all runs that it went wrong for."""

    cause: Cause
    runs: tuple[CheckedRun, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the last checks said about the runs of the store."""

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    """Runs by verdict."""
    at: datetime | None
    """When the last of them was made."""


class Checks:
    """The checks of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    @property
    def code(self) -> tuple[str, ...]:
        """The workflow code that the settings name."""
        return self._settings.workflows

    def found(self) -> Found:
        """The causes of all that went wrong in the last check of each run."""
        rows = self._store.read_newest_verdicts()
        checked = [_checked(row) for row in rows]
        runs: dict[str, list[CheckedRun]] = defaultdict(list)
        for one in checked:
            runs[cause_id(one)].append(one)
        findings = tuple(Finding(cause, tuple(runs[cause.id])) for cause in find_causes(checked))
        counts: Counter[str] = Counter(one.verdict.verdict for one in checked)
        return Found(findings, counts, max((row["checked_at"] for row in rows), default=None))

    def verdict(self, run_key: str) -> Verdict | None:
        """What the last check said about this run, as it is now."""
        rows = self._store.read_newest_verdicts(run_key)
        return _checked(rows[0]).verdict if rows else None

    def run(
        self, run_keys: Sequence[str], workflows: Sequence[str], progress: check.Progress, stop: threading.Event
    ) -> CheckReport:
        """Replay these runs in children, and keep what comes of it; `stop` ends it with what is known by then."""
        if not workflows:
            raise ReplaytoolError(
                "no workflow code was named", 'write a module or a path, or workflows = ["…"] in [tool.replaytool]'
            )
        folder = str(self._settings.folder) if tuple(workflows) == self.code else ""
        spec = CodeSpec(tuple(workflows), self._settings.replayer, self._settings.converter, folder)
        plan = check.CheckPlan(spec, Options(policy=check_policy(self._settings.drift)))
        rows = self._store.list_runs("run_key IN (SELECT unnest(?))", [list(run_keys)])
        return check.check_runs(self._store, rows, plan, progress, stop)


def _checked(row: Mapping[str, Any]) -> CheckedRun:
    names = ("run_key", "source", "workflow_id", "run_id", "workflow_type")
    subject = Subject(**{name: row[name] for name in names}, events=row["event_count"])
    return CheckedRun(subject, verdict_from_json(row["detail"]))
