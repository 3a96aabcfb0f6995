"""Histories that are kept next to the code, for a front end: select, measure and scrub them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from replaytool import ingest
from replaytool.check.check_runs import CheckPlan, make_work_items
from replaytool.corpus.coverage import CorpusCoverage, measure_coverage
from replaytool.corpus.file_names import history_file_name
from replaytool.corpus.gather import Corpus, Progress, gather_features
from replaytool.corpus.select import CorpusSelection, select_histories
from replaytool.engines import engine_of, export_history, read_steps, require_part
from replaytool.model.pull_options import PullOptions, PullProgress
from replaytool.model.scrub_result import ScrubResult
from replaytool.sources import open_output
from replaytool.store import RunFilter, RunRow, Store, is_store
from replaytool.workers.pool import run_job


@dataclass(frozen=True, slots=True)
class ChosenHistories:
    """The selected histories, out of all that were read."""

    corpus: Corpus
    selection: CorpusSelection
    coverage: CorpusCoverage
    """Coverage of all histories. Without code it only knows about patches."""
    files: Mapping[str, str]
    """Path of each selected history, by run key."""


@dataclass(frozen=True, slots=True)
class ScrubbedHistory:
    """A scrubbed history, or the reason why it was not accepted."""

    row: RunRow
    found: ScrubResult
    file: str = ""
    """Where the history was written; "" if it was not accepted."""


class StoreCorpora:
    """Histories of the configured store, or of named files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open_histories(self, sources: Sequence[str], observer: ingest.LoadObserver) -> Store:
        """Return a store with the named sources in memory, a named store, or the configured one."""
        if len(sources) == 1 and is_store(Path(sources[0])):
            return Store(Path(sources[0]))
        if not sources:
            return self._store
        store = Store(None)
        # Strict: these commands do not tell by their exit code that a place is missing.
        found = ingest.open_sources(sources, sys.stdin.buffer, keep_going=False)
        ingest.load_into_store(store, found, observer, None, read_steps)
        return store

    def copy_histories(
        self,
        sources: Sequence[str],
        pull: PullOptions | None,
        folder: str,
        observer: ingest.LoadObserver,
        tally: PullProgress,
    ) -> tuple[int, ingest.LoadReport]:
        """Write the histories of these sources, and of a server, as JSON into a folder; existing files stay."""
        store, found = Store(None), ingest.open_sources(sources, None) if sources else iter(())
        if pull is not None:
            engine = engine_of(pull.engine)
            server = require_part(engine, engine.server(), "pulled")
            found = chain(found, server.pull_histories(pull, lambda workflow_id, run_id: None, tally))
        loaded = ingest.load_into_store(store, found, observer, None, read_steps)
        new = [row for row in store.list_runs() if not Path(folder, history_file_name(row)).exists()]
        for row in new:
            _write_history(store, row, folder)
        return len(new), loaded

    def pull_histories(
        self, pull: PullOptions, observer: ingest.LoadObserver, tally: PullProgress
    ) -> tuple[Store, ingest.LoadReport]:
        """Return a store in memory with the histories that a server has."""
        engine, store = engine_of(pull.engine), Store(None)
        server = require_part(engine, engine.server(), "pulled")
        found = server.pull_histories(pull, lambda workflow_id, run_id: None, tally)
        return store, ingest.load_into_store(store, found, observer, None, read_steps)

    def measure_coverage(self, store: Store, wanted: RunFilter, plan: CheckPlan, progress: Progress) -> CorpusCoverage:
        """Measure which lines of the code the histories reach."""
        return measure_coverage(gather_features(store, store.list_runs(wanted), plan, progress))

    def select_histories(
        self, store: Store, wanted: RunFilter, plan: CheckPlan | None, most: int | None, folder: str, progress: Progress
    ) -> ChosenHistories:
        """Choose the fewest histories that cover as much as all of them, and write them into a folder."""
        corpus = gather_features(store, store.list_runs(wanted), plan, progress)
        sizes = {key: row.history_bytes for key, row in corpus.rows.items()}
        chosen = select_histories(corpus.things, sizes, most)
        names = {one.key: _write_history(store, corpus.rows[one.key], folder) for one in chosen.chosen}
        return ChosenHistories(corpus, chosen, measure_coverage(corpus), names)

    def scrub_histories(
        self,
        store: Store,
        wanted: RunFilter,
        plan: CheckPlan,
        given: Mapping[str, Any],
        folder: str,
        progress: Progress,
    ) -> list[ScrubbedHistory]:
        """Replace user data, and write the accepted histories into a folder."""
        rows = store.list_runs(wanted)
        found: dict[str, ScrubResult] = {}
        for name in sorted({row.engine for row in rows}):
            engine = engine_of(name)
            job = require_part(engine, engine.scrub_job(), "scrubbed")
            works = make_work_items(store, [row for row in rows if row.engine == name])
            done = run_job(job, works, plan.spec, plan.options, plan.limits, dict(given), lambda key, _: progress(key))
            found |= done.found
        return [_write_scrubbed_history(row, found[row.run_key], folder) for row in rows if row.run_key in found]


def _write_scrubbed_history(row: RunRow, found: ScrubResult, folder: str) -> ScrubbedHistory:
    if found.reason:
        return ScrubbedHistory(row, found)
    path = _make_history_path(folder, replace(row, workflow_id=found.workflow_id))
    with open_output(path) as stream:
        stream.write(found.history.encode("utf-8", "surrogatepass"))
    return ScrubbedHistory(row, found, path)


def _make_history_path(folder: str, row: RunRow) -> str:
    """Return the path for a history. Its name holds the run id, which an exported history may not contain."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return str(Path(folder) / history_file_name(row))


def _write_history(store: Store, row: RunRow, folder: str) -> str:
    path = _make_history_path(folder, row)
    with open_output(path) as stream:
        stream.write(export_history(row.engine, "json", store.read_events(row.run_key)))
    return path
