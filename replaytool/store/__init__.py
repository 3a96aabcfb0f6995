"""One DuckDB file of histories. No other folder knows DuckDB or writes SQL, except an engine's `views.sql`.

To read something new from the store, add a typed method to `Store`. To add a view, write it in `views.sql` with its
comments in `comments.sql`. The store never parses an event and never names an engine's event types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event, Run
from replaytool.store import connections as db
from replaytool.store import line_coverage as reaches
from replaytool.store import verdicts, writer
from replaytool.store.connections import is_store
from replaytool.store.writer import GROWN, NEW, SAME, SHORTER, AddedRun, ReadSteps

__all__ = ["GROWN", "NEW", "SAME", "SHORTER", "AddedRun", "ReadSteps", "RunRow", "Store", "is_store"]

_REACHES_OUTSIDE = re.compile(
    r"disabled by configuration|configuration has been locked|Table with name \S*[/.]\S* does not exist"
)
_LISTED = "run_key, workflow_id, run_id, workflow_type, status, started_at, event_count, source"


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of the `runs` view."""

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


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
            connection.execute("SET python_enable_replacements = false")
            connection.execute("SET autoinstall_known_extensions = false")
            if not allow_files:
                connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            try:
                relation = connection.sql(sql)
                yield _read_arrow_batches(relation)
            except duckdb.Error as error:
                raise _explain_query_error(error) from error

    def list_runs(
        self, condition: str = "true", parameters: Sequence[object] = (), limit: int | None = None
    ) -> list[RunRow]:
        """Return rows of the `runs` view in a stable order."""
        cut = f" LIMIT {limit}" if limit is not None else ""
        sql = f"SELECT * FROM runs WHERE ({condition}) ORDER BY started_at, workflow_id, run_key{cut}"
        try:
            return [RunRow(row) for row in self.query_rows(sql, parameters)]
        except (duckdb.BinderException, duckdb.ParserException, duckdb.ConversionException) as error:
            raise _explain_query_error(error) from error

    def find_run(self, text: str) -> RunRow:
        """Return the one run that a key, an id, or the beginning of one names."""
        for condition in (
            "run_key = $1 OR run_id = $1",
            "workflow_id = $1",
            "starts_with(run_key, $1) OR starts_with(run_id, $1) OR starts_with(workflow_id, $1)",
        ):
            found = self.query_rows(f"SELECT {_LISTED} FROM runs WHERE {condition} ORDER BY started_at LIMIT 6", [text])
            if len(found) == 1:
                return self.list_runs("run_key = ?", [found[0]["run_key"]])[0]
            if found:
                raise _ambiguous_run_error(text, found)
        raise ReplaytoolError(
            f"no run {text!r} in the store", "`replaytool runs` lists what is there", code=ErrorCode.STORE_RUN_UNKNOWN
        )

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

    def read_run(self, row: RunRow, *, with_events: bool = True) -> Run:
        """Return the run of a row, as its format read it."""
        names = {one.name for one in fields(Run)} & row.values.keys()
        events = self.read_events(row.run_key) if with_events else []
        return Run(events=events, **{name: row.values[name] for name in names})

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


def _read_arrow_batches(relation: Any) -> pa.RecordBatchReader:
    """Return the result in batches. JSON columns are marked, because Arrow has them as plain text."""
    if relation is None:
        return pa.RecordBatchReader.from_batches(pa.schema([]), [])
    # DuckDB 2 renamed it.
    reader = relation.to_arrow_reader() if hasattr(relation, "to_arrow_reader") else relation.fetch_arrow_reader()
    fields = [
        field.with_metadata({"type": "JSON"}) if str(kind) == "JSON" else field
        for field, kind in zip(reader.schema, relation.types, strict=True)
    ]
    schema = pa.schema(fields)
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in reader)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _explain_query_error(error: duckdb.Error) -> ReplaytoolError:
    text = str(error)
    if isinstance(error, duckdb.PermissionException) or _REACHES_OUTSIDE.search(text):
        return ReplaytoolError(
            f"this query reaches outside the store: {text.splitlines()[0]}",
            "--allow-files lets a query read and write files",
            code=ErrorCode.STORE_QUERY_OUTSIDE,
        )
    return ReplaytoolError(
        f"the query failed: {text.strip()}",
        "`replaytool sql --help` lists the views",
        code=ErrorCode.STORE_QUERY_FAILED,
    )


def _ambiguous_run_error(text: str, found: list[dict[str, Any]]) -> ReplaytoolError:
    rows = [
        f"{row['run_key']}  {row['workflow_id'] or '-'}  {row['run_id'] or '-'}  {row['status']}  "
        f"{_format_start_time(row)}"
        for row in found[:5]
    ]
    more = ["…"] if len(found) > 5 else []
    return ReplaytoolError(
        f"{text!r} means several runs:\n  " + "\n  ".join(rows + more),
        "name one by its run key",
        code=ErrorCode.STORE_RUN_AMBIGUOUS,
    )


def _format_start_time(row: dict[str, Any]) -> str:
    return f"{row['started_at'].isoformat()}Z" if row["started_at"] else "-"
