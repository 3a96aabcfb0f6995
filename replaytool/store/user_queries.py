"""What a user asks of a store: results as Arrow batches, and errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.store.connections import connect_in_memory
from replaytool.store.rows import RunRow

_REACHES_OUTSIDE = re.compile(
    r"disabled by configuration|configuration has been locked|Table with name \S*[/.]\S* does not exist"
)


def read_arrow_batches(relation: duckdb.DuckDBPyRelation | None) -> pa.RecordBatchReader:
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


def lock_connection(connection: duckdb.DuckDBPyConnection, *, allow_files: bool = False) -> None:
    """Let the connection read the store and, unless allowed, nothing else. This cannot be undone."""
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET autoinstall_known_extensions = false")
    if not allow_files:
        connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def refuse_outside_condition(condition: str) -> None:
    """Raise DuckDB's error if a condition over the view `runs` reaches outside the store.

    An empty store is asked: locking the connection to a store in memory would also end the writing to it.
    """
    connection = connect_in_memory()
    try:
        lock_connection(connection)
        connection.execute(f"SELECT 1 FROM runs WHERE ({condition}\n)").fetchall()
    finally:
        connection.close()


def explain_query_error(error: duckdb.Error) -> ReplaytoolError:
    """Return the error to show for a query that DuckDB refused."""
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


def ambiguous_run_error(text: str, found: Sequence[RunRow]) -> ReplaytoolError:
    """Return the error for a text that several runs begin with."""
    rows = [
        f"{row.run_key}  {row.workflow_id or '-'}  {row.run_id or '-'}  {row.status}  "
        + (f"{row.started_at.isoformat()}Z" if row.started_at else "-")
        for row in found[:5]
    ]
    more = ["…"] if len(found) > 5 else []
    return ReplaytoolError(
        f"{f'{text!r} means several runs' if text else 'there are several runs'}:\n  " + "\n  ".join(rows + more),
        "name one by its run key",
        code=ErrorCode.STORE_RUN_AMBIGUOUS,
    )
