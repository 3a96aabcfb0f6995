"""The lines that each run reached, by run and by code. The table is created when the first row is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from replaytool.store.connections import Connection

_TABLE = """
CREATE TABLE IF NOT EXISTS reach (
    run_key VARCHAR NOT NULL,
    run_sha256 VARCHAR NOT NULL,
    code_fingerprint VARCHAR NOT NULL,
    detail VARCHAR NOT NULL
)
"""
_SCHEMA = pa.schema([(name, pa.large_string()) for name in ("run_key", "code_fingerprint", "detail")])


def save_line_coverage(connection: Connection, fingerprint: str, found: Mapping[str, str]) -> None:
    """Store the lines, each under its run's key."""
    connection.execute(_TABLE)
    rows = [{"run_key": key, "code_fingerprint": fingerprint, "detail": detail} for key, detail in found.items()]
    connection.register("incoming", pa.Table.from_pylist(rows, schema=_SCHEMA))
    connection.execute(
        "DELETE FROM reach WHERE code_fingerprint = ? AND run_key IN (SELECT run_key FROM incoming)", [fingerprint]
    )
    connection.execute(
        "INSERT INTO reach BY NAME SELECT incoming.*, run.sha256 AS run_sha256 FROM incoming JOIN run USING (run_key)"
    )
    connection.unregister("incoming")


def read_line_coverage(connection: Connection, fingerprint: str, run_keys: Iterable[str]) -> dict[str, str]:
    """Return what is stored about these runs, as they are now, with this code."""
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reach'").fetchall():
        return {}
    rows = connection.execute(
        "SELECT reach.run_key, detail FROM reach JOIN run "
        "ON run.run_key = reach.run_key AND run.sha256 = reach.run_sha256 "
        "WHERE code_fingerprint = ? AND reach.run_key IN (SELECT unnest(?))",
        [fingerprint, list(run_keys)],
    ).fetchall()
    return dict(rows)
