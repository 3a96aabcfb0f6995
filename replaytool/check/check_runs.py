"""Check runs against code: take stored verdicts where run and code are unchanged, and replay the rest."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from replaytool.check.cause_charts import causes_with_charts
from replaytool.check.list_orders import settle_list_orders
from replaytool.check.repeat import replay_repeatedly
from replaytool.check.subjects import load_subjects
from replaytool.engines import CodeSpec, Options
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.verdict import (
    FAILING,
    WORDS,
    CheckedRun,
    CheckReport,
    CodeInfo,
    Shard,
    Verdict,
    Word,
    to_report_json,
    verdict_from_json,
)
from replaytool.store import RunRow, Store
from replaytool.store.read_histories import HistoryReader
from replaytool.text import suggest_word
from replaytool.workers.pool import ReplayOutcome, WorkerLimits, WorkItem, replay_all_runs, start_worker_ahead
from replaytool.workers.worker_process import WorkerProcess

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """What to check with: the code, the options of a replay, and the limits of the worker processes."""

    spec: CodeSpec
    options: Options = field(default_factory=Options)
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    engine: str = "auto"
    repeat: int = 1
    """Replays of each run, each with another set order and clock; more than 1 finds unstable code."""
    use_known: bool = True
    """Take a stored verdict if neither the run nor the code has changed."""
    keep: bool = True
    """Save new verdicts in the store."""
    shard: Shard | None = None
    """Check only this share of the runs."""


Progress = Callable[[str, Verdict], None]


def check_runs(
    store: Store,
    rows: Sequence[RunRow],
    plan: CheckPlan,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> CheckReport:
    """Check the runs and return the report. Verdicts are reused and saved only with a store on disk."""
    began = time.monotonic()
    shard = None if plan.shard is None else replace(plan.shard, all_runs=len(rows))
    rows = [row for row in rows if shard is None or shard.contains_run(row.run_key)]
    is_kept = store.path is not None and plan.use_known and plan.repeat == 1
    with preload_code(plan) if is_kept else nullcontext() as child:
        info = child.loaded_code() if child is not None else CodeInfo()
        fingerprint = verdict_fingerprint(info, plan)
        known = _stored_verdicts(store, fingerprint, rows) if is_kept else {}
        for key, verdict in known.items():
            if progress:
                progress(key, verdict)
        outcome = _replay_runs(store, [row for row in rows if row.run_key not in known], plan, progress, stop)
    if is_kept and plan.keep and outcome.verdicts:
        _save_verdicts(store, fingerprint, outcome)
    found = known | outcome.verdicts
    checked = [CheckedRun(one, found[key]) for key, one in load_subjects(store, rows).items() if key in found]
    code = info if info.fingerprint else outcome.code
    seconds = time.monotonic() - began
    return CheckReport(code, checked, causes_with_charts(store, checked), seconds, outcome.complete, shard=shard)


def preload_code(plan: CheckPlan) -> AbstractContextManager[WorkerProcess[Verdict]]:
    """Start a worker process that loads the code while this process looks for the runs."""
    return start_worker_ahead(plan.spec, plan.options, plan.limits, plan.engine)


def _save_verdicts(store: Store, fingerprint: str, outcome: ReplayOutcome) -> None:
    """Save the verdicts; a failure to save is logged, because the report is valid without it."""
    try:
        with store.open_writer() as writer:
            writer.save_verdicts(fingerprint, {key: to_report_json(one) for key, one in outcome.verdicts.items()})
    except ReplaytoolError as error:
        _log.warning("cannot save the verdicts: %s", error.format_line())


def verdict_fingerprint(info: CodeInfo, plan: CheckPlan) -> str:
    """Return an id of everything that a verdict depends on: the code and the options of the replay."""
    chosen = plan.options
    parts = (plan.engine, chosen.sandbox, chosen.guard, chosen.every_mismatch, sorted(chosen.policy.items()))
    options = " ".join(map(str, parts))
    return hashlib.sha256(f"{info.fingerprint}\n{options}".encode()).hexdigest()[:32]


def _stored_verdicts(store: Store, fingerprint: str, rows: Sequence[RunRow]) -> dict[str, Verdict]:
    """Return stored verdicts. Crashes are replayed again: the machine may have caused them."""
    found = store.read_verdicts(fingerprint, [row.run_key for row in rows])
    verdicts = {key: verdict_from_json(plain) for key, plain in found.items()}
    return {key: verdict for key, verdict in verdicts.items() if verdict.verdict != "crashed"}


def _replay_runs(
    store: Store, rows: Sequence[RunRow], plan: CheckPlan, progress: Progress | None, stop: threading.Event | None
) -> ReplayOutcome:
    if not rows:
        return ReplayOutcome()
    works = make_work_items(store, rows)
    if plan.repeat > 1:
        return replay_repeatedly(works, plan.spec, plan.repeat, plan.options, plan.limits, plan.engine, progress)
    outcome = replay_all_runs(works, plan.spec, plan.options, plan.limits, plan.engine, progress, stop)

    def replay_with_seed(some: Sequence[WorkItem], seed: str) -> dict[str, Verdict]:
        limits = replace(plan.limits, hash_seed=seed)
        return replay_all_runs(some, plan.spec, plan.options, limits, plan.engine, None, stop).verdicts

    if outcome.complete:
        settle_list_orders(works, outcome.verdicts, replay_with_seed)
    return outcome


def make_work_items(store: Store, rows: Sequence[RunRow]) -> list[WorkItem]:
    """Return a work item per run; each history is read from the store when a worker asks for it."""
    histories = HistoryReader(store, {row.run_key: row.history_bytes for row in rows})
    return [_make_work_item(store, row, histories) for row in rows]


def _make_work_item(store: Store, row: RunRow, histories: HistoryReader) -> WorkItem:
    key = row.run_key
    return WorkItem(key, store.read_run(row, with_events=False), row.history_bytes, lambda: histories.take_history(key))


def choose_failing_verdicts(words: str | None, *, strict: bool, allow_unverified: bool) -> frozenset[Word]:
    """Return the verdicts that make a check fail."""
    if words is not None:
        chosen = {word.strip() for word in words.split(",") if word.strip()}
        if unknown := sorted(chosen - set(WORDS)):
            known = ", ".join(WORDS)
            raise ReplaytoolError(
                f"--fail-on: unknown verdict {unknown[0]!r}{suggest_word(unknown[0], WORDS)}",
                f"choose from {known}",
                code=ErrorCode.USAGE_VALUE,
            )
        return frozenset(word for word in WORDS if word in chosen)
    more: frozenset[Word] = frozenset({"drift"} if strict else ())
    less: frozenset[Word] = frozenset({"unverified"} if allow_unverified else ())
    return (FAILING | more) - less
