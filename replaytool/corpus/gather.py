"""What each of many histories covers: from the record, and where there is code, from a replay that is watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from replaytool.check.check_runs import Plan, works_of
from replaytool.corpus import history_features as things
from replaytool.corpus.source_lines import Source, Thing, sources
from replaytool.model.verdict import CodeInfo
from replaytool.store import RunRow, Store
from replaytool.workers.coverage_job import REACH, Reached
from replaytool.workers.pool import do_all

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Histories, and what each of them covers."""

    rows: Mapping[str, RunRow]
    things: Mapping[str, frozenset[Thing]]
    """By run key."""
    known: Mapping[str, Source] = field(default_factory=dict)
    """What there is to cover in the code, by file."""
    code: CodeInfo = field(default_factory=CodeInfo)
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """By run key; a history that does not follow the code reaches only what comes before."""


def gather(store: Store, rows: Sequence[RunRow], plan: Plan | None, progress: Progress | None = None) -> Corpus:
    """Look at all of them; with a plan the code counts too."""
    by_key = {row.run_key: row for row in rows}
    plain = {key: things.of_run(store.run(row)) for key, row in by_key.items()}
    if plan is None or not rows:
        return Corpus(by_key, things.with_absent_patches(plain))

    def told(key: str, _: Reached) -> None:
        if progress:
            progress(key)

    done = do_all(REACH, works_of(store, rows), plan.spec, plan.options, plan.limits, {"engine": plan.engine}, told)
    known = sources({*done.code.files.values(), *(file for one in done.found.values() for file in one.reach.lines)})
    covered = {key: things.of_replay(plain[key], one.reach, known) for key, one in done.found.items()}
    used = _used(known, done.code, covered)
    return Corpus(by_key, covered, used, done.code, {key: one.verdict.verdict for key, one in done.found.items()})


def _used(known: Mapping[str, Source], code: CodeInfo, covered: Mapping[str, frozenset[Thing]]) -> dict[str, Source]:
    """The files that hold workflows, and those that some history came by."""
    holding = {code.files.get(module) for module in code.types.values()}
    reached = {one[1] for found in covered.values() for one in found if one[0] == "line"}
    return {file: source for file, source in known.items() if file in holding | reached}
