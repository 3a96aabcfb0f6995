"""One DuckDB file of histories. No other folder knows DuckDB or writes SQL, except an engine's `views.sql`.

To read something new from the store, add a typed method to `Store`. To add a view, write it in `views.sql` with its
comments in `comments.sql`. The store never parses an event and never names an engine's event types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event, Run
from replaytool.store import connections as db
from replaytool.store import line_coverage as reaches
from replaytool.store import verdicts, writer
from replaytool.store.connections import is_store
from replaytool.store.rows import BuildRow, ChosenBuildRow, NewestRun, OpenStep, ProblemRow, RunRow
from replaytool.store.run_filters import RUN_FILTERS, RUN_SORTS, RunFilter, filter_runs, run_list_query
from replaytool.store.schema import has_engine_view
from replaytool.store.user_queries import (
    ambiguous_run_error,
    explain_query_error,
    lock_connection,
    read_arrow_batches,
    refuse_outside_condition,
)
from replaytool.store.writer import GROWN, NEW, SAME, SHORTER, AddedRun, ReadSteps

__all__ = [
    "GROWN",
    "NEW",
    "RUN_FILTERS",
    "RUN_SORTS",
    "SAME",
    "SHORTER",
    "AddedRun",
    "BuildRow",
    "ChosenBuildRow",
    "NewestRun",
    "OpenStep",
    "ProblemRow",
    "ReadSteps",
    "RunFilter",
    "RunRow",
    "Store",
    "filter_runs",
    "is_store",
]

_OPEN_STEPS = """
WITH wanted AS (SELECT unnest(?) AS run_key)
SELECT run_key, 'workflow task' AS kind, NULL AS name FROM wanted JOIN (
    SELECT run_key, arg_max(outcome, scheduled_event_id) AS outcome FROM tasks GROUP BY run_key
) USING (run_key) WHERE outcome <> 'Completed'
UNION SELECT run_key, kind, name FROM steps JOIN wanted USING (run_key) WHERE closed_event_id IS NULL
ORDER BY ALL
"""


class Store:
    """A store of runs in a file, or in memory if there is no path."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._memory = db.connect_in_memory() if path is None else None

    @contextmanager
    def open_writer(self) -> Iterator[StoreWriter]:
        """Open one transaction: all of it is committed, or nothing."""
        with self._open_connection(write=True) as connection:
            connection.begin()
            try:
                yield StoreWriter(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _open_connection(self, *, write: bool = False) -> Iterator[db.Connection]:
        if self._memory is not None:
            yield self._memory.cursor()
        else:
            assert self.path is not None
            with (db.connect_for_writing if write else db.connect_read_only)(self.path) as connection:
                yield connection

    def query_rows(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return the rows of one of our own queries."""
        with self._open_connection() as connection:
            result = connection.execute(sql, list(parameters))
            names = [column[0] for column in result.description or []]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    @contextmanager
    def run_user_query(self, sql: str, *, allow_files: bool = False) -> Iterator[pa.RecordBatchReader]:
        """Run a user's query. It can read the store and, unless allowed, nothing else."""
        with self._open_connection() as connection:
            lock_connection(connection, allow_files=allow_files)
            try:
                relation = connection.sql(sql)
                yield read_arrow_batches(relation)
            except duckdb.Error as error:
                if self.path is not None and db.TRUNCATED in str(error):
                    raise db.explain_store_error(error, self.path) from error
                raise explain_query_error(error) from error

    def open_run_list(
        self, wanted: RunFilter, sort: str, *, descending: bool = False
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """Return a sorted list of runs with verdicts and problems, in batches."""
        return self.run_user_query(run_list_query(wanted, sort, descending=descending))

    def list_runs(self, wanted: RunFilter | None = None, limit: int | None = None) -> list[RunRow]:
        """Return the runs that fulfil all conditions, in a stable order."""
        condition, values = (wanted or RunFilter()).to_sql()
        try:
            if wanted is not None and wanted.where is not None:
                refuse_outside_condition(wanted.where)
            return self._select_runs(condition, values, limit)
        except (
            duckdb.BinderException,
            duckdb.CatalogException,
            duckdb.ParserException,
            duckdb.ConversionException,
            duckdb.PermissionException,
        ) as error:
            raise explain_query_error(error) from error

    def _select_runs(self, condition: str, values: Sequence[object], limit: int | None = None) -> list[RunRow]:
        cut = f" LIMIT {limit}" if limit is not None else ""
        sql = f"SELECT * FROM runs WHERE ({condition}) ORDER BY started_at, workflow_id, run_key{cut}"
        return [RunRow(**row) for row in self.query_rows(sql, values)]

    def read_runs(self, run_keys: Iterable[str]) -> dict[str, RunRow]:
        """Return the runs with these keys."""
        return {row.run_key: row for row in self.list_runs(filter_runs(run_keys=list(run_keys)))}

    def find_run(self, text: str) -> RunRow:
        """Return the one run that a key, an id, or the beginning of one names."""
        for condition in (
            "run_key = $1 OR run_id = $1",
            "workflow_id = $1",
            "starts_with(run_key, $1) OR starts_with(run_id, $1) OR starts_with(workflow_id, $1)",
        ):
            found = self._select_runs(condition, [text], 6)
            if len(found) == 1:
                return found[0]
            if found:
                raise ambiguous_run_error(text, found)
        raise ReplaytoolError(
            f"no run {text!r} in {'the store' if self.path is not None else 'these files'}",
            "`replaytool runs` lists what is there" if self.path is not None else "name a file that holds the run",
            code=ErrorCode.STORE_RUN_UNKNOWN,
        )

    def list_run_keys(self) -> list[str]:
        """Return the keys of all runs."""
        return [row["run_key"] for row in self.query_rows("SELECT run_key FROM runs ORDER BY run_key")]

    def count_runs_and_events(self) -> tuple[int, int]:
        """Return how many runs and events are loaded."""
        (row,) = self.query_rows("SELECT count(*) AS runs, coalesce(sum(event_count), 0) AS events FROM runs")
        return row["runs"], row["events"]

    def read_known_event_counts(self) -> dict[tuple[str | None, str | None], int]:
        """Return the number of events of each run by its IDs. Run IDs from file names are not trusted."""
        rows = self.query_rows("SELECT workflow_id, run_id, event_count FROM runs WHERE run_id_from <> 'file name'")
        return {(row["workflow_id"], row["run_id"]): row["event_count"] for row in rows}

    def find_newest_runs(self, workflow_ids: Sequence[str]) -> dict[str, NewestRun]:
        """Return the newest loaded run of each of these workflow IDs."""
        rows = self.query_rows(
            "SELECT workflow_id, arg_max(run_id, started_at) AS run_id, arg_max(status, started_at) AS status "
            "FROM runs WHERE list_contains(?, workflow_id) GROUP BY workflow_id",
            [list(workflow_ids)],
        )
        return {row["workflow_id"]: NewestRun(row["run_id"], row["status"]) for row in rows}

    def list_problems(self, run_key: str) -> list[ProblemRow]:
        """Return the problems that loading found in a run."""
        rows = self.query_rows(
            "SELECT code, message, event_id FROM problems WHERE run_key = ? ORDER BY event_id NULLS FIRST", [run_key]
        )
        return cast(list[ProblemRow], rows)

    def read_problem_codes(self) -> dict[str, tuple[str, ...]]:
        """Return the codes of the problems of each run that has any."""
        rows = self.query_rows(
            "SELECT run_key, list(DISTINCT code ORDER BY code) AS codes FROM problems GROUP BY run_key"
        )
        return {row["run_key"]: tuple(row["codes"]) for row in rows}

    def list_builds(self) -> list[BuildRow]:
        """Return the builds that ran tasks, oldest first."""
        return cast(list[BuildRow], self.query_rows("SELECT * FROM builds ORDER BY first_seen, build_id"))

    def list_builds_of_runs(self, run_keys: Sequence[str]) -> list[ChosenBuildRow]:
        """Return the builds that took part in these runs, newest first."""
        rows = self.query_rows(
            "SELECT run_build.build_id, count(DISTINCT run.id) AS runs, min(run_build.first_seen) AS first_seen, "
            "max(run_build.last_seen) AS last_seen, any_value(builds.is_hash) AS is_hash "
            "FROM run_build JOIN run ON run.id = run_build.run JOIN builds USING (build_id) "
            "WHERE run_key IN (SELECT unnest(?)) GROUP BY ALL ORDER BY last_seen DESC, build_id",
            [list(run_keys)],
        )
        return cast(list[ChosenBuildRow], rows)

    def list_open_steps(self, run_keys: Sequence[str]) -> list[OpenStep]:
        """Return what these runs wait for: each kind and name once."""
        if not run_keys:
            return []
        rows = self.query_rows(_OPEN_STEPS, [list(run_keys)])
        return [OpenStep(row["run_key"], row["kind"], row["name"]) for row in rows]

    def read_pin_facts(self, engine: str, run_keys: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the newest fact of each kind in the engine's view `pin_facts`, by run key; nothing without a view."""
        if not has_engine_view(engine, "pin_facts"):
            return {}
        rows = self.query_rows(
            f"SELECT run_key, kind, arg_max(content, event_id) AS content FROM engine_{engine}.pin_facts AS fact "
            "JOIN run ON run.id = fact.run WHERE run_key IN (SELECT unnest(?)) GROUP BY run_key, kind",
            [list(run_keys)],
        )
        found: dict[str, dict[str, str]] = {}
        for row in rows:
            found.setdefault(row["run_key"], {})[row["kind"]] = row["content"]
        return found

    def read_events(self, run_key: str, event_id: int | None = None) -> list[Event]:
        """Return the events of a run in order, or one of them."""
        condition = "" if event_id is None else " AND event_id = ?"
        with self._open_connection() as connection:
            rows = connection.execute(
                "SELECT event_id, event_type, strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ'), build_id, event.raw "
                f"FROM event JOIN run ON run.id = event.run WHERE run_key = ?{condition} ORDER BY event_id",
                [run_key] if event_id is None else [run_key, event_id],
            ).fetchall()
        return [Event(number, kind, at, build, raw.encode()) for number, kind, at, build, raw in rows]

    def read_events_of_runs(
        self, run_keys: Sequence[str], empty_types: Iterable[str] = ()
    ) -> Iterator[tuple[str, list[Event]]]:
        """Yield runs with their events, in order of run keys; events of `empty_types` come without their content."""
        rows = self.query_rows(
            "SELECT run_key, event_id, event_type, strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ') AS at, "
            "event.build_id, CASE WHEN list_contains(?, event_type) THEN '{}' ELSE raw END AS raw "
            "FROM event JOIN run ON run.id = event.run WHERE run_key IN (SELECT unnest(?)) ORDER BY run_key, event_id",
            [list(empty_types), list(run_keys)],
        )
        for key, some in groupby(rows, lambda row: str(row["run_key"])):
            yield (
                key,
                [
                    Event(row["event_id"], row["event_type"], row["at"], row["build_id"], row["raw"].encode())
                    for row in some
                ],
            )

    def read_events_of_types(self, types: Sequence[str], run_keys: Sequence[str]) -> Iterator[tuple[str, list[Event]]]:
        """Yield runs with their events of these types, in order; a run without such an event is left out."""
        rows = self.query_rows(
            "SELECT run_key, event_id, event_type, strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ') AS at, "
            "event.build_id, raw FROM event JOIN run ON run.id = event.run "
            "WHERE list_contains(?, event_type) AND run_key IN (SELECT unnest(?)) ORDER BY run_key, event_id",
            [list(types), list(run_keys)],
        )
        for key, some in groupby(rows, lambda row: str(row["run_key"])):
            yield (
                key,
                [
                    Event(row["event_id"], row["event_type"], row["at"], row["build_id"], row["raw"].encode())
                    for row in some
                ],
            )

    def read_run(self, row: RunRow, *, with_events: bool = True) -> Run:
        """Return the run of a row, as its format read it."""
        columns = row.values
        names = {one.name for one in fields(Run)} & columns.keys()
        events = self.read_events(row.run_key) if with_events else []
        return Run(events=events, **{name: columns[name] for name in names})

    def read_histories(self, run_keys: Sequence[str]) -> dict[str, bytes]:
        """Return whole histories as JSON. The database joins them, so no event is parsed."""
        with self._open_connection() as connection:
            rows = connection.execute(
                "SELECT run_key, string_agg(raw, ',' ORDER BY event_id) FROM event JOIN run ON run.id = event.run "
                "WHERE run_key IN (SELECT unnest(?)) GROUP BY run_key",
                [list(run_keys)],
            ).fetchall()
        return {run_key: b'{"events":[' + events.encode() + b"]}" for run_key, events in rows}

    def read_verdicts(self, fingerprint: str, run_keys: Iterable[str]) -> dict[str, Any]:
        """Return the stored verdicts on these runs, as they are now, with this code."""
        with self._open_connection() as connection:
            return verdicts.read_verdicts(connection, fingerprint, run_keys)

    def read_newest_verdicts(self, run_key: str | None = None) -> list[dict[str, Any]]:
        """Return the last check's verdict on each run as it is now, or on one run."""
        with self._open_connection() as connection:
            return verdicts.read_newest_verdicts(connection, run_key)

    def read_line_coverage(self, fingerprint: str, run_keys: Iterable[str]) -> dict[str, str]:
        """Return as JSON the lines that these runs, as they are now, reach with this code."""
        with self._open_connection() as connection:
            return reaches.read_line_coverage(connection, fingerprint, run_keys)


class StoreWriter:
    """What may be written in one transaction."""

    def __init__(self, connection: db.Connection) -> None:
        self._connection = connection

    def add_runs(self, found: Sequence[tuple[str, Run]], read_steps: ReadSteps | None = None) -> list[AddedRun]:
        """Add runs, each with the name of its source, and the steps that `read_steps` finds in them."""
        return writer.add_runs(self._connection, found, read_steps)

    def save_verdicts(self, fingerprint: str, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Store verdicts by run key."""
        verdicts.save_verdicts(self._connection, fingerprint, found)

    def save_line_coverage(self, fingerprint: str, found: Mapping[str, str]) -> None:
        """Store the lines that runs reach, by run key."""
        reaches.save_line_coverage(self._connection, fingerprint, found)
