"""Find what each history covers: from the record, and with code from a traced replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from replaytool.check.check_runs import CheckPlan, make_work_items
from replaytool.corpus import history_features as things
from replaytool.corpus.source_lines import CountedSource, Thing, read_sources
from replaytool.model.verdict import CodeInfo
from replaytool.store import RunRow, Store
from replaytool.workers.pool import run_job
from replaytool.workers.replay_job import REACH, CoveredVerdict

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Histories and what each of them covers."""

    rows: Mapping[str, RunRow]
    things: Mapping[str, frozenset[Thing]]
    """By run key."""
    known: Mapping[str, CountedSource] = field(default_factory=dict)
    """What the code has to cover, by file."""
    code: CodeInfo = field(default_factory=CodeInfo)
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """By run key; a history that diverges covers only what comes before."""


def gather_features(
    store: Store, rows: Sequence[RunRow], plan: CheckPlan | None, progress: Progress | None = None
) -> Corpus:
    """Collect the features of all histories; with a plan, also what they cover in the code."""
    by_key = {row.run_key: row for row in rows}
    plain = {key: things.features_of_run(store.read_run(row)) for key, row in by_key.items()}
    if plan is None or not rows:
        return Corpus(by_key, things.add_absent_patches(plain))

    def report_progress(key: str, _: CoveredVerdict) -> None:
        if progress:
            progress(key)

    done = run_job(
        REACH,
        make_work_items(store, rows),
        plan.spec,
        plan.options,
        plan.limits,
        {"engine": plan.engine},
        report_progress,
    )
    known = read_sources(
        {*done.code.files.values(), *(file for one in done.found.values() for file in one.reach.lines)}
    )
    covered = {key: things.features_of_replay(plain[key], one.reach, known) for key, one in done.found.items()}
    used = _relevant_sources(known, done.code, covered)
    return Corpus(by_key, covered, used, done.code, {key: one.verdict.verdict for key, one in done.found.items()})


def _relevant_sources(
    known: Mapping[str, CountedSource], code: CodeInfo, covered: Mapping[str, frozenset[Thing]]
) -> dict[str, CountedSource]:
    """Return the files that hold workflows or that some history reached."""
    holding = {code.files.get(module) for module in code.types.values()}
    reached = {one[1] for found in covered.values() for one in found if one[0] == "line"}
    return {file: source for file, source in known.items() if file in holding | reached}
