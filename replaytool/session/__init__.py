"""All that a front end may do; the command line and the screens call this and nothing beneath it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from replaytool import config, ingest
from replaytool.check import base_branch as gate
from replaytool.check import check_runs as check
from replaytool.check.impact import impacted_runs as impacted
from replaytool.debug import compare_runs as compare
from replaytool.debug import time_travel as walk
from replaytool.engines.temporal.events import labels as deeds
from replaytool.engines.temporal.events import payloads
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event
from replaytool.replay.code.builds import CodeMap
from replaytool.session.checks import Checks
from replaytool.session.corpora import Corpora
from replaytool.session.resets import Resets
from replaytool.sources import HistorySource, open_output, open_sources, probe_output
from replaytool.store import RunRow, Store, is_store

if TYPE_CHECKING:
    import pyarrow as pa

    from replaytool.engines.temporal.server.pull import Known, PullOptions, PullProgress
    from replaytool.model.verdict import CheckReport

__all__ = ["CodeMap", "EventLine", "Session", "open_output", "probe_output"]


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event as a list shows it."""

    event_id: int
    event_time: str | None
    event_type: str
    name: str
    build_id: str | None
    value: Any
    """What it carried: arguments, a result, a failure's message."""


class Session:
    """One store and one set of settings."""

    def __init__(self, settings: config.Settings) -> None:
        self.settings = settings
        self.store = Store(settings.store)
        self.checks = Checks(self.store, settings)
        self.corpora = Corpora(self.store)
        self.resets = Resets(self.store, settings)

    def load(
        self, paths: Sequence[str], stdin: BinaryIO | None, observer: ingest.Observer, *, decode: bool = False
    ) -> ingest.Report:
        """Load files, folders, globs, objects or standard input."""
        return self.load_sources(open_sources(paths, stdin), observer, decode=decode)

    def load_sources(
        self, sources: Iterator[HistorySource], observer: ingest.Observer, *, decode: bool = False
    ) -> ingest.Report:
        """Load whatever these sources hold."""
        decoder = payloads.build_payload_decoder(self.settings) if decode else payloads.PayloadDecoder()
        if decode and decoder.codec is None:
            raise ReplaytoolError("--decode needs something to decode with", "give --converter or --codec-endpoint")
        return ingest.load(self.store, sources, observer, decoder.decode_run if decode else None)

    def pull(
        self, wanted: PullOptions, observer: ingest.Observer, tally: PullProgress, *, decode: bool = False
    ) -> ingest.Report:
        """Fetch histories from a server and load them; what the store has in full stays where it is."""
        from replaytool.engines.temporal.server.pull import pull_histories

        return self.load_sources(pull_histories(wanted, self._known(), tally), observer, decode=decode)

    def _known(self) -> Known:
        """How many events of a run the store has. A run id that was read off a file's name proves nothing."""
        sql = "SELECT workflow_id, run_id, event_count FROM runs WHERE run_id_from <> 'file name'"
        rows = self.store.query_rows(sql) if self.settings.store.is_file() else []
        counts = {(row["workflow_id"], row["run_id"]): row["event_count"] for row in rows}
        return lambda workflow_id, run_id: counts.get((workflow_id, run_id))

    def runs(self, condition: str, parameters: Sequence[object], limit: int | None) -> list[RunRow]:
        """Runs that fulfil a condition over the `runs` view."""
        return self.store.list_runs(condition, parameters, limit)

    def find(self, text: str) -> RunRow:
        """The run that a person means."""
        return self.store.find_run(text)

    def problems(self, run_key: str) -> list[dict[str, Any]]:
        """What is odd about a run."""
        return self.store.query_rows(
            "SELECT code, message, event_id FROM problems WHERE run_key = ? ORDER BY event_id NULLS FIRST", [run_key]
        )

    def event_lines(self, run_key: str) -> Iterator[EventLine]:
        """The events of a run as lines of a list."""
        decoder = payloads.build_payload_decoder(self.settings)
        for event, name, found in deeds.name_events(self.store.read_events(run_key)):
            value = _value(decoder.make_readable(found))
            yield EventLine(event.event_id, event.event_time, event.event_type, name, event.build_id, value)

    def event(self, run_key: str, event_id: int) -> dict[str, Any]:
        """One event whole, its payloads decoded."""
        found = self.store.read_events(run_key, event_id)
        if not found:
            last = self.find(run_key).event_count
            raise ReplaytoolError(f"run {run_key} has no event {event_id}", f"its events are 1 to {last}")
        whole: dict[str, Any] = payloads.build_payload_decoder(self.settings).make_readable(json.loads(found[0].raw))
        return whole

    def diff(self, left: str, right: str) -> tuple[RunRow, RunRow, list[compare.AlignedPair]]:
        """Two runs aligned by what they did."""
        decoder = payloads.build_payload_decoder(self.settings)
        rows = (self.find(left), self.find(right))
        sides = [deeds.label_events(self.store.read_events(row.run_key), decoder) for row in rows]
        return *rows, list(compare.align_runs(*sides))

    def builds(self) -> list[dict[str, Any]]:
        """Who ran what, and when."""
        return self.store.query_rows("SELECT * FROM builds ORDER BY first_seen, build_id")

    def sql(self, query: str, *, allow_files: bool) -> AbstractContextManager[pa.RecordBatchReader]:
        """The result of a person's own query."""
        if not query.strip(" ;\n\t"):
            raise ReplaytoolError("the query is empty", 'for example "SELECT * FROM runs"')
        return self.store.run_user_query(query, allow_files=allow_files)

    def check(
        self,
        sources: Sequence[str],
        condition: str,
        plan: check.CheckPlan,
        observer: ingest.Observer,
        progress: check.Progress,
        base: str | None = None,
        *,
        only_impacted: bool = False,
    ) -> tuple[CheckReport, ingest.Report | None]:
        """Check what the sources hold, in memory; or what a store holds, and keep the verdicts there."""
        if not sources or (len(sources) == 1 and is_store(Path(sources[0]))):
            store = Store(Path(sources[0])) if sources else self.store
            return _checked(store, condition, plan, progress, base, only_impacted), None
        with check.preload_code(plan):
            store = Store(None)
            loaded = ingest.load(store, open_sources(sources, sys.stdin.buffer), observer)
            return _checked(store, condition, plan, progress, base, only_impacted), loaded

    def code_map(
        self,
        workflows: Sequence[str] = (),
        builds: Mapping[str, str] | None = None,
        *,
        git: bool = False,
        git_ref: str = "",
    ) -> CodeMap | None:
        """The code to walk through runs with, as given and as configured; None where there is none."""
        return walk.make_code_map(self.settings, workflows, builds or {}, git=git or bool(git_ref), pattern=git_ref)

    def walk(self, text: str, code: CodeMap, progress: walk.Tell | None = None) -> walk.TimeTravel:
        """The replayed side of a run; see `replaytool.model.debug_state`. Close it, or use it in a `with` statement."""
        row = self.find(text)
        history = self.store.read_histories([row.run_key])[row.run_key]
        return walk.TimeTravel(self.store.read_run(row), history, code, progress)

    def pdb(self, text: str, code: CodeMap, event_id: int) -> str:
        """Stop in pdb, here in this process, where the task of an event begins to run; how it ended."""
        return walk.stop_in_pdb(self.store.read_run(self.find(text)), code, event_id)

    def history(self, text: str) -> tuple[RunRow, list[Event]]:
        """A run with all its events."""
        row = self.find(text)
        return row, self.store.read_events(row.run_key)


def _checked(
    store: Store,
    condition: str,
    plan: check.CheckPlan,
    progress: check.Progress,
    base: str | None,
    only_impacted: bool,
) -> CheckReport:
    rows = store.list_runs(condition)
    if base is not None and only_impacted:
        return impacted.check_impacted(base, store, rows, plan, progress)
    report = check.check_runs(store, rows, plan, progress)
    if base is not None and report.complete:
        report = gate.compare_with_base(report, base, store, rows, plan, progress)
    return report


def _value(found: dict[str, Any]) -> Any:
    """What an event carried, as short as it can be said."""
    for key in (
        "failure",
        "input",
        "result",
        "acceptedRequest",
        "outcome",
        "startToFireTimeout",
        "details",
        "lastFailure",
    ):
        value = found.get(key)
        if key in ("failure", "lastFailure") and isinstance(value, dict):
            return _deepest_message(value)
        if key == "acceptedRequest" and isinstance(value, dict):
            value = value.get("input", {}).get("args")
        if value is not None:
            return _unwrapped(value)
    return None


def _unwrapped(value: Any) -> Any:
    values = value.get("payloads") if isinstance(value, dict) and set(value) == {"payloads"} else value
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def _deepest_message(failure: dict[str, Any]) -> str:
    messages: list[str] = []
    inner: Any = failure
    while isinstance(inner, dict) and len(messages) < 20:
        messages.append(str(inner.get("message", "")))
        inner = inner.get("cause")
    return ": ".join(message for message in messages if message)
