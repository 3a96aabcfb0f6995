"""What a front end may do about histories that are kept beside the code: choose, measure and clean them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replaytool import ingest
from replaytool.check.check_runs import CheckPlan, make_work_items
from replaytool.corpus.coverage import CorpusCoverage, measure_coverage
from replaytool.corpus.file_names import history_file_name
from replaytool.corpus.gather import Corpus, Progress, gather_features
from replaytool.corpus.scrub.scrub_job import SCRUB, ScrubResult
from replaytool.corpus.select import CorpusSelection, select_histories
from replaytool.formats.temporal.export import export_json
from replaytool.sources import open_output, open_sources
from replaytool.store import RunRow, Store, is_store
from replaytool.workers.pool import run_job


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which histories are worth keeping, out of which."""

    corpus: Corpus
    selection: CorpusSelection
    coverage: CorpusCoverage
    """Of all histories; without code it knows the patches only."""
    files: Mapping[str, str]
    """Where the chosen ones are kept, by run key."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A history, and what became of it."""

    row: RunRow
    found: ScrubResult
    file: str = ""
    """Where it was written; "" where it was not accepted."""


class Corpora:
    """Histories of the configured store, or of files that are named."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def opened(self, sources: Sequence[str], observer: ingest.Observer) -> Store:
        """What the sources hold, in memory; a store that is named; or the configured one."""
        if len(sources) == 1 and is_store(Path(sources[0])):
            return Store(Path(sources[0]))
        if not sources:
            return self._store
        store = Store(None)
        ingest.load(store, open_sources(sources, sys.stdin.buffer), observer)
        return store

    def coverage(self, store: Store, condition: str, plan: CheckPlan, progress: Progress) -> CorpusCoverage:
        """What the histories reach of the code."""
        return measure_coverage(gather_features(store, store.list_runs(condition), plan, progress))

    def select(
        self, store: Store, condition: str, plan: CheckPlan | None, most: int | None, folder: str, progress: Progress
    ) -> Chosen:
        """Choose the fewest histories that cover as much as all of them, and write them into a folder."""
        corpus = gather_features(store, store.list_runs(condition), plan, progress)
        sizes = {key: row.history_bytes for key, row in corpus.rows.items()}
        chosen = select_histories(corpus.things, sizes, most)
        names = {one.key: _written(store, corpus.rows[one.key], folder) for one in chosen.chosen}
        return Chosen(corpus, chosen, measure_coverage(corpus), names)

    def scrub(
        self, store: Store, condition: str, plan: CheckPlan, given: Mapping[str, Any], folder: str, progress: Progress
    ) -> list[Cleaned]:
        """Replace what users said, and write those histories that are accepted into a folder."""
        rows = store.list_runs(condition)
        works = make_work_items(store, rows)
        done = run_job(SCRUB, works, plan.spec, plan.options, plan.limits, dict(given), lambda key, _: progress(key))
        return [_cleaned(row, done.found[row.run_key], folder) for row in rows if row.run_key in done.found]


def _cleaned(row: RunRow, found: ScrubResult, folder: str) -> Cleaned:
    if found.reason:
        return Cleaned(row, found)
    path = _place(folder, RunRow({**row.values, "workflow_id": found.workflow_id}))
    with open_output(path) as stream:
        stream.write(found.history.encode("utf-8", "surrogatepass"))
    return Cleaned(row, found, path)


def _place(folder: str, row: RunRow) -> str:
    """The file's name tells the run id, which the content of an export may not."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return str(Path(folder) / history_file_name(row))


def _written(store: Store, row: RunRow, folder: str) -> str:
    path = _place(folder, row)
    with open_output(path) as stream:
        stream.write(export_json(store.read_events(row.run_key)))
    return path
