"""What a front end may do. The command line and the screens call a Session; nothing here prints or draws."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from replaytool import config, ingest
from replaytool.check import base_branch as gate
from replaytool.check import check_runs as check
from replaytool.check.fix.propose import propose_fix
from replaytool.check.guilty.find import GuiltyRequest, find_guilty_edits
from replaytool.check.impact import impacted_runs as impacted
from replaytool.check.patches.judge import PatchRequest
from replaytool.check.patches.survey import change_patch_in_spec, survey_patches
from replaytool.corpus.find_states import find_states
from replaytool.debug import compare_runs as compare
from replaytool.debug import time_travel as walk
from replaytool.engines import engine_of, export_history, read_steps, require_part
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event, Run
from replaytool.model.pull_options import OPEN_RUNS, PullProgress
from replaytool.replay.code.builds import CodeMap
from replaytool.session.checks import StoreChecks
from replaytool.session.corpora import StoreCorpora
from replaytool.session.events import EventLine, EventReader
from replaytool.session.resets import StoreResets
from replaytool.simulate.what_if import simulate_fresh_run
from replaytool.sources import HistorySource, open_output, probe_output
from replaytool.store import (
    RUN_FILTERS,
    RUN_SORTS,
    BuildRow,
    ChosenBuildRow,
    ProblemRow,
    RunFilter,
    RunRow,
    Store,
    is_store,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from replaytool.model.found_states import FoundStates
    from replaytool.model.patches import Change, PatchReport
    from replaytool.model.pull_options import Known, PullOptions
    from replaytool.model.verdict import CheckReport
    from replaytool.reset.state_points import StateSearch

__all__ = [
    "RUN_FILTERS",
    "RUN_SORTS",
    "BuildRow",
    "ChosenBuildRow",
    "CodeMap",
    "EventLine",
    "EventReader",
    "ProblemRow",
    "RunFilter",
    "Session",
    "is_store",
    "open_output",
    "probe_output",
]


class Session:
    """One store and one set of settings."""

    def __init__(self, settings: config.Settings, store: Store | None = None) -> None:
        self.settings = settings
        self.store = store or Store(settings.store)
        self.checks = StoreChecks(self.store, settings)
        self.corpora = StoreCorpora(self.store)
        self.resets = StoreResets(self.store, settings)

    def open_sources(self, sources: Sequence[str], observer: ingest.LoadObserver) -> Session:
        """Return a session of a store that is named as a source, or of these sources, loaded into memory."""
        if len(sources) == 1 and is_store(Path(sources[0])):
            return Session(replace(self.settings, store=Path(sources[0])))
        store = Store(None)
        opened = ingest.open_sources(sources, sys.stdin.buffer)
        ingest.load_into_store(store, opened, observer, None, read_steps)
        return Session(self.settings, store)

    def load_paths(
        self, paths: Sequence[str], stdin: BinaryIO | None, observer: ingest.LoadObserver, *, decode: bool = False
    ) -> ingest.LoadReport:
        """Load files, folders, globs, objects or standard input."""
        return self.load_sources(ingest.open_sources(paths, stdin), observer, decode=decode)

    def load_sources(
        self, sources: Iterator[HistorySource], observer: ingest.LoadObserver, *, decode: bool = False
    ) -> ingest.LoadReport:
        """Load everything that these sources hold."""
        if decode and not (self.settings.converter or self.settings.codec_endpoint):
            raise ReplaytoolError(
                "--decode needs a codec", "add --converter or --codec-endpoint", code=ErrorCode.USAGE_COMBINATION
            )
        return ingest.load_into_store(self.store, sources, observer, self._decode_run if decode else None, read_steps)

    def _decode_run(self, run: Run) -> Run:
        return self.event_reader(run.engine).make_decoder().decode_run(run)

    def pull_runs(
        self, wanted: PullOptions, observer: ingest.LoadObserver, tally: PullProgress, *, decode: bool = False
    ) -> ingest.LoadReport:
        """Fetch histories from a server and load them; complete runs in the store are not fetched again."""
        engine = engine_of(wanted.engine)
        server = require_part(engine, engine.server(), "pulled")
        return self.load_sources(
            server.pull_histories(wanted, self._read_known_event_counts(), tally), observer, decode=decode
        )

    def _read_known_event_counts(self) -> Known:
        """Return a function from a run to its number of stored events."""
        counts = self.store.read_known_event_counts() if self.settings.store.is_file() else {}
        return lambda workflow_id, run_id: counts.get((workflow_id, run_id))

    def list_runs(self, wanted: RunFilter | None = None, limit: int | None = None) -> list[RunRow]:
        """Return the runs that fulfil all conditions of a filter."""
        return self.store.list_runs(wanted, limit)

    def list_run_keys(self) -> list[str]:
        """Return the keys of all runs."""
        return self.store.list_run_keys()

    def open_run_list(
        self, wanted: RunFilter, sort: str, *, descending: bool
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """Return the runs that fulfil a filter, sorted, with their verdicts and problems."""
        return self.store.open_run_list(wanted, sort, descending=descending)

    def find_run(self, text: str) -> RunRow:
        """Return the run with this key, workflow id, run id, or beginning of one; for "", the only run there is."""
        return self.store.find_run(text)

    def list_problems(self, run_key: str) -> list[ProblemRow]:
        """Return the problems that loading found in a run."""
        return self.store.list_problems(run_key)

    def read_event_lines(self, run_key: str) -> Iterator[EventLine]:
        """Return the events of a run as lines of a list."""
        return self.event_reader(self.find_run(run_key).engine).read_lines(self.store.read_events(run_key))

    def read_event(self, run_key: str, event_id: int) -> dict[str, Any]:
        """Return one complete event with decoded payloads."""
        found = self.store.read_events(run_key, event_id)
        if not found:
            last = self.find_run(run_key).event_count
            raise ReplaytoolError(
                f"run {run_key} has no event {event_id}",
                f"its events are 1 to {last}",
                code=ErrorCode.STORE_EVENT_UNKNOWN,
            )
        return self.event_reader(self.find_run(run_key).engine).decode_event(found[0])

    def event_reader(self, engine: str) -> EventReader:
        """Return what reads the events of an engine's runs."""
        return EventReader(engine, self.settings)

    def diff_runs(self, left: str, right: str) -> tuple[RunRow, RunRow, list[compare.AlignedPair]]:
        """Align two runs by what they did."""
        rows = (self.find_run(left), self.find_run(right))
        sides = [self.event_reader(row.engine).label_events(self.store.read_events(row.run_key)) for row in rows]
        return *rows, list(compare.align_runs(*sides))

    def list_builds(self) -> list[BuildRow]:
        """Return the builds that ran tasks, oldest first."""
        return self.store.list_builds()

    def run_sql(self, query: str, *, allow_files: bool) -> AbstractContextManager[pa.RecordBatchReader]:
        """Return the result of a user's own query."""
        if not query.strip(" ;\n\t"):
            raise ReplaytoolError(
                "the query is empty", 'for example "SELECT * FROM runs"', code=ErrorCode.STORE_QUERY_EMPTY
            )
        return self.store.run_user_query(query, allow_files=allow_files)

    def check_runs(
        self,
        sources: Sequence[str],
        wanted: RunFilter,
        plan: check.CheckPlan,
        observer: ingest.LoadObserver,
        progress: check.Progress,
        base: str | None = None,
        *,
        only_impacted: bool = False,
        guilty: GuiltyRequest | None = None,
    ) -> tuple[CheckReport, ingest.LoadReport | None]:
        """Check the runs of the sources in memory, or those of a store, which then keeps the verdicts."""
        if not sources or (len(sources) == 1 and is_store(Path(sources[0]))):
            store = Store(Path(sources[0])) if sources else self.store
            return _check_store(store, wanted, plan, observer, progress, base, only_impacted, guilty), None
        with check.preload_code(plan):
            store = Store(None)
            opened = ingest.open_sources(sources, sys.stdin.buffer)
            loaded = ingest.load_into_store(store, opened, observer, None, read_steps)
            return _check_store(store, wanted, plan, observer, progress, base, only_impacted, guilty), loaded

    def change_patch(self, plan: check.CheckPlan, change_id: str, change: Change) -> tuple[check.CheckPlan, list[str]]:
        """Return the plan of a check with the calls of a patch changed, and where these stand.

        Its verdicts are about code that nobody has written, so the store never keeps them.
        """
        spec, places = change_patch_in_spec(plan.spec, change_id, change)
        return replace(plan, spec=spec, use_known=False, keep=False), places

    def survey_patches(
        self,
        sources: Sequence[str],
        wanted: RunFilter,
        plan: check.CheckPlan,
        request: PatchRequest,
        observer: ingest.LoadObserver,
        pull: PullOptions | None = None,
    ) -> PatchReport:
        """Return every patch of the runs and of the code, and what may be done with it.

        With `pull`, the runs are those of a server. It is only read, and nothing is stored.
        """
        if pull is None:
            store = self.corpora.open_histories(sources, observer)
            return survey_patches(store, store.list_runs(wanted), plan, request)
        from replaytool.reset.server_checks import fetch_retention

        store, loaded = self.corpora.pull_histories(pull, observer, PullProgress())
        retention = request.retention or fetch_retention(pull.engine, pull.server)
        has_all = pull.query == OPEN_RUNS and pull.limit is None and wanted == RunFilter() and not loaded.bad
        request = replace(request, retention=retention, is_complete=request.is_complete or has_all)
        report = survey_patches(store, store.list_runs(wanted), plan, request)
        missing = f"{len(loaded.bad)} runs of the server could not be read" if loaded.bad else ""
        return replace(report, notes=(*report.notes, missing)) if missing else report

    def find_code_map(
        self,
        workflows: Sequence[str] = (),
        builds: Mapping[str, str] | None = None,
        *,
        git: bool = False,
        git_ref: str = "",
    ) -> CodeMap | None:
        """Return which code replays which build, or None when no code is named or configured."""
        return walk.make_code_map(self.settings, workflows, builds or {}, git=git or bool(git_ref), pattern=git_ref)

    def open_walk(self, text: str, code: CodeMap, progress: walk.Tell | None = None) -> walk.TimeTravel:
        """Replay a run for the debugger. Close the walk, or use it in a `with` statement."""
        row = self.find_run(text)
        history = self.store.read_histories([row.run_key])[row.run_key]
        return walk.TimeTravel(self.store.read_run(row), history, code, progress)

    def find_states(
        self,
        expression: str,
        where: str | None,
        names: Sequence[str],
        how: StateSearch,
        progress: Callable[[str], None],
    ) -> FoundStates:
        """Return where an expression over the state first held, in each of these runs."""
        return find_states(self.store, expression, where, names, how, progress)

    def start_pdb(self, text: str, code: CodeMap, event_id: int) -> str:
        """Stop in pdb in this process when the task of an event begins; return how that ended."""
        return walk.stop_in_pdb(self.store.read_run(self.find_run(text)), code, event_id)

    def read_history(self, text: str) -> tuple[RunRow, list[Event]]:
        """Return a run with all its events."""
        row = self.find_run(text)
        return row, self.store.read_events(row.run_key)

    def export_history(self, text: str, format_name: str) -> tuple[RunRow, bytes]:
        """Return a run, and its history in a format of its engine's own tools."""
        row, events = self.read_history(text)
        return row, export_history(row.engine, format_name, events)


def _check_store(
    store: Store,
    wanted: RunFilter,
    plan: check.CheckPlan,
    observer: ingest.LoadObserver,
    progress: check.Progress,
    base: str | None,
    only_impacted: bool,
    guilty: GuiltyRequest | None,
) -> CheckReport:
    if base is not None:
        gate.require_different_trees(base, plan.spec)
    rows = store.list_runs(wanted)
    if not only_impacted:  # its number of replays is known only when they are over
        replayed = sum(plan.shard is None or plan.shard.contains_run(row.run_key) for row in rows)
        observer.on_total(replayed * plan.repeat * (1 if base is None else 2))
    if base is not None and only_impacted:
        report = impacted.check_impacted(base, store, rows, plan, progress)
    else:
        report = check.check_runs(store, rows, plan, progress)
        if base is not None and report.complete:
            report = gate.compare_with_base(report, base, store, rows, plan, progress)
    if base is not None and guilty is not None:
        report = find_guilty_edits(report, base, store, rows, plan, guilty)
        if guilty.wants_fix:
            report = propose_fix(report, base, store, rows, plan, simulate_fresh_run)
    return report
