"""One DuckDB file of histories: the only place that knows which database this is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event, Run
from replaytool.store import connections as db
from replaytool.store import line_coverage as reaches
from replaytool.store import verdicts, writer
from replaytool.store.connections import is_store
from replaytool.store.writer import GROWN, NEW, SAME, SHORTER, Added

__all__ = ["GROWN", "NEW", "SAME", "SHORTER", "Added", "RunRow", "Store", "is_store"]

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
    """A store of runs in a file, or in memory where there is no path."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._memory = db.in_memory() if path is None else None

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """One burst of writing: all of it is in, or none."""
        with self._connection(write=True) as connection:
            connection.begin()
            try:
                yield Writer(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _connection(self, *, write: bool = False) -> Iterator[db.Connection]:
        if self._memory is not None:
            yield self._memory.cursor()
        else:
            assert self.path is not None
            with (db.writing if write else db.reading)(self.path) as connection:
                yield connection

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """The rows of one of our own queries."""
        with self._connection() as connection:
            result = connection.execute(sql, list(parameters))
            names = [column[0] for column in result.description or []]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    @contextmanager
    def foreign_query(self, sql: str, *, allow_files: bool = False) -> Iterator[pa.RecordBatchReader]:
        """The result of somebody's own query: it can read the store and, unless allowed, nothing else."""
        with self._connection() as connection:
            connection.execute("SET python_enable_replacements = false")
            connection.execute("SET autoinstall_known_extensions = false")
            if not allow_files:
                connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            try:
                relation = connection.sql(sql)
                yield _batches(relation)
            except duckdb.Error as error:
                raise _query_error(error) from error

    def runs(
        self, condition: str = "true", parameters: Sequence[object] = (), limit: int | None = None
    ) -> list[RunRow]:
        """Rows of the `runs` view, in a stable order."""
        cut = f" LIMIT {limit}" if limit is not None else ""
        sql = f"SELECT * FROM runs WHERE ({condition}) ORDER BY started_at, workflow_id, run_key{cut}"
        try:
            return [RunRow(row) for row in self.query(sql, parameters)]
        except (duckdb.BinderException, duckdb.ParserException, duckdb.ConversionException) as error:
            raise _query_error(error) from error

    def find(self, text: str) -> RunRow:
        """The one run that a person means by a key, an id, or the beginning of one."""
        for condition in (
            "run_key = $1 OR run_id = $1",
            "workflow_id = $1",
            "starts_with(run_key, $1) OR starts_with(run_id, $1) OR starts_with(workflow_id, $1)",
        ):
            found = self.query(f"SELECT {_LISTED} FROM runs WHERE {condition} ORDER BY started_at LIMIT 6", [text])
            if len(found) == 1:
                return self.runs("run_key = ?", [found[0]["run_key"]])[0]
            if found:
                raise _ambiguous(text, found)
        raise ReplaytoolError(f"no run {text!r} in the store", "`replaytool runs` lists what is there")

    def events(self, run_key: str, event_id: int | None = None) -> list[Event]:
        """The events of a run, in order; or one of them."""
        condition = "" if event_id is None else " AND event_id = ?"
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT event_id, event_type, strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ'), build_id, event.raw "
                f"FROM event JOIN run ON run.id = event.run WHERE run_key = ?{condition} ORDER BY event_id",
                [run_key] if event_id is None else [run_key, event_id],
            ).fetchall()
        return [Event(number, kind, at, build, raw.encode()) for number, kind, at, build, raw in rows]

    def run(self, row: RunRow, *, with_events: bool = True) -> Run:
        """The run that a row stands for, as its format read it."""
        names = {one.name for one in fields(Run)} & row.values.keys()
        events = self.events(row.run_key) if with_events else []
        return Run(events=events, **{name: row.values[name] for name in names})

    def histories(self, run_keys: Sequence[str]) -> dict[str, bytes]:
        """Whole histories as JSON, put together by the database: no event is parsed."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT run_key, string_agg(raw, ',' ORDER BY event_id) FROM event JOIN run ON run.id = event.run "
                "WHERE run_key IN (SELECT unnest(?)) GROUP BY run_key",
                [list(run_keys)],
            ).fetchall()
        return {run_key: b'{"events":[' + events.encode() + b"]}" for run_key, events in rows}

    def verdicts(self, fingerprint: str, run_keys: Iterable[str]) -> dict[str, Any]:
        """What is known about these runs, as they are now, under this code."""
        with self._connection() as connection:
            return verdicts.known(connection, fingerprint, run_keys)

    def newest_verdicts(self, run_key: str | None = None) -> list[dict[str, Any]]:
        """What the last check said about each run as it is now, or about one of them."""
        with self._connection() as connection:
            return verdicts.newest(connection, run_key)

    def reaches(self, fingerprint: str, run_keys: Iterable[str]) -> dict[str, str]:
        """Which lines these runs, as they are now, come by under this code, as JSON."""
        with self._connection() as connection:
            return reaches.known(connection, fingerprint, run_keys)


class Writer:
    """What may be written in one burst."""

    def __init__(self, connection: db.Connection) -> None:
        self._connection = connection

    def add(self, found: Sequence[tuple[str, Run]]) -> list[Added]:
        """Take in runs, each with the name of the source that it came from."""
        return writer.add(self._connection, found)

    def save_verdicts(self, fingerprint: str, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep verdicts under their runs' keys."""
        verdicts.save(self._connection, fingerprint, found)

    def save_reaches(self, fingerprint: str, found: Mapping[str, str]) -> None:
        """Keep which lines runs come by, under their keys."""
        reaches.save(self._connection, fingerprint, found)


def _batches(relation: Any) -> pa.RecordBatchReader:
    """The result in batches; columns that DuckDB calls JSON are marked, for in Arrow they are plain text."""
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


def _query_error(error: duckdb.Error) -> ReplaytoolError:
    text = str(error)
    if isinstance(error, duckdb.PermissionException) or _REACHES_OUTSIDE.search(text):
        return ReplaytoolError(
            f"this query reaches outside the store: {text.splitlines()[0]}",
            "--allow-files lets a query read and write files",
        )
    return ReplaytoolError(f"the query failed: {text.strip()}", "`replaytool sql --help` lists the views")


def _ambiguous(text: str, found: list[dict[str, Any]]) -> ReplaytoolError:
    rows = [
        f"{row['run_key']}  {row['workflow_id'] or '-'}  {row['run_id'] or '-'}  {row['status']}  {_moment(row)}"
        for row in found[:5]
    ]
    more = ["…"] if len(found) > 5 else []
    return ReplaytoolError(f"{text!r} means several runs:\n  " + "\n  ".join(rows + more), "name one by its run key")


def _moment(row: dict[str, Any]) -> str:
    return f"{row['started_at'].isoformat()}Z" if row["started_at"] else "-"
