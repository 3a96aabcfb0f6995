"""Checking runs against code: what is known already is taken from the store, the rest is replayed and kept there."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from replaytool.check.causes import causes
from replaytool.check.repeat import replay_repeatedly
from replaytool.check.run_charts import timeline
from replaytool.engines import CodeSpec, Options
from replaytool.engines.temporal.events.deployment import load_subjects
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import (
    FAILING,
    WORDS,
    Cause,
    Checked,
    CodeInfo,
    Report,
    Shard,
    Verdict,
    Word,
    as_json,
    verdict_from_json,
)
from replaytool.store import RunRow, Store
from replaytool.store.read_histories import Histories
from replaytool.workers.pool import Limits, Outcome, Work, replay_all, started_ahead
from replaytool.workers.worker_process import Child

_log = logging.getLogger(__name__)
MOST_PICTURES = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """How to check."""

    spec: CodeSpec
    options: Options = field(default_factory=Options)
    limits: Limits = field(default_factory=Limits)
    engine: str = "auto"
    repeat: int = 1
    """Replay each run so often, each time with another order of sets: latent nondeterminism passes one by luck."""
    use_known: bool = True
    """Take verdicts from the store where neither run nor code has changed."""
    keep: bool = True
    """Keep new verdicts in the store."""
    shard: Shard | None = None
    """Only a share of the runs."""


Progress = Callable[[str, Verdict], None]


def check(
    store: Store,
    rows: Sequence[RunRow],
    plan: Plan,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """The report on these runs. A store in memory keeps nothing, so there is nothing to know."""
    began = time.monotonic()
    shard = None if plan.shard is None else replace(plan.shard, all_runs=len(rows))
    rows = [row for row in rows if shard is None or shard.has(row.run_key)]
    is_kept = store.path is not None and plan.use_known and plan.repeat == 1
    with code_ahead(plan) if is_kept else nullcontext() as child:
        info = child.code() if child is not None else CodeInfo()
        fingerprint = fingerprint_of(info, plan)
        known = _known(store, fingerprint, rows) if is_kept else {}
        for key, verdict in known.items():
            if progress:
                progress(key, verdict)
        outcome = _replayed(store, [row for row in rows if row.run_key not in known], plan, progress, stop)
    if is_kept and plan.keep and outcome.verdicts:
        _keep(store, fingerprint, outcome)
    found = known | outcome.verdicts
    checked = [Checked(one, found[key]) for key, one in load_subjects(store, rows).items() if key in found]
    code = info if info.fingerprint else outcome.code
    seconds = time.monotonic() - began
    return Report(code, checked, pictured(store, checked), seconds, outcome.complete, shard=shard)


def code_ahead(plan: Plan) -> AbstractContextManager[Child]:
    """Have the code loaded, by a child, while the runs are looked for."""
    return started_ahead(plan.spec, plan.options, plan.limits, plan.engine)


def pictured(store: Store, checked: Sequence[Checked]) -> tuple[Cause, ...]:
    """The causes, with a picture of an example each; people look at some of them, and never at hundreds."""
    by_key = {one.subject.run_key: one.verdict for one in checked}
    found = causes(checked)
    return tuple(
        replace(cause, timeline=timeline(store.events(cause.example), by_key[cause.example].event_id))
        if number < MOST_PICTURES
        else cause
        for number, cause in enumerate(found)
    )


def _keep(store: Store, fingerprint: str, outcome: Outcome) -> None:
    """A report that could not be kept is still a report."""
    try:
        with store.writing() as writer:
            writer.save_verdicts(fingerprint, {key: as_json(one) for key, one in outcome.verdicts.items()})
    except ReplaytoolError as error:
        _log.warning("the verdicts were not kept: %s; %s", error.message, error.hint)


def fingerprint_of(info: CodeInfo, plan: Plan) -> str:
    """The code, and what else a verdict depends on."""
    chosen = plan.options
    parts = (plan.engine, chosen.sandbox, chosen.guard, chosen.every_mismatch, sorted(chosen.policy.items()))
    options = " ".join(map(str, parts))
    return hashlib.sha256(f"{info.fingerprint}\n{options}".encode()).hexdigest()[:32]


def _known(store: Store, fingerprint: str, rows: Sequence[RunRow]) -> dict[str, Verdict]:
    """A crash may have been the machine's fault, so it is never taken as known."""
    found = store.verdicts(fingerprint, [row.run_key for row in rows])
    verdicts = {key: verdict_from_json(plain) for key, plain in found.items()}
    return {key: verdict for key, verdict in verdicts.items() if verdict.verdict != "crashed"}


def _replayed(
    store: Store, rows: Sequence[RunRow], plan: Plan, progress: Progress | None, stop: threading.Event | None
) -> Outcome:
    if not rows:
        return Outcome()
    works = works_of(store, rows)
    if plan.repeat > 1:
        return replay_repeatedly(works, plan.spec, plan.repeat, plan.options, plan.limits, plan.engine, progress)
    return replay_all(works, plan.spec, plan.options, plan.limits, plan.engine, progress, stop)


def works_of(store: Store, rows: Sequence[RunRow]) -> list[Work]:
    """What the pool is to be given, the histories fetched when their turn comes."""
    histories = Histories(store, {row.run_key: row.history_bytes for row in rows})
    return [_work(store, row, histories) for row in rows]


def _work(store: Store, row: RunRow, histories: Histories) -> Work:
    key = row.run_key
    return Work(key, store.run(row, with_events=False), row.history_bytes, lambda: histories.take(key))


def exit_on(words: str | None, *, strict: bool, allow_unverified: bool) -> frozenset[Word]:
    """The verdicts that make a check fail."""
    if words is not None:
        chosen = {word.strip() for word in words.split(",") if word.strip()}
        if unknown := sorted(chosen - set(WORDS)):
            known = ", ".join(WORDS)
            raise ReplaytoolError(f"--fail-on: there is no verdict {unknown[0]!r}", f"choose from {known}")
        return frozenset(word for word in WORDS if word in chosen)
    more: frozenset[Word] = frozenset({"drift"} if strict else ())
    less: frozenset[Word] = frozenset({"unverified"} if allow_unverified else ())
    return (FAILING | more) - less
