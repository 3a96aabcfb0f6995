"""The ledger of a reset plan: a DuckDB file beside it with an entry before and after each step.

Entries are never changed or removed; an item's newest entry gives its state. Whoever applies the plan keeps the file
open and releases it every few seconds, so that others can read it meanwhile.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.reset_plan import ItemOutcome, ResetPlan
from replaytool.store.atomic_file import create_atomically, make_files_private

_PATIENCE = 20.0
_PAUSE = 0.005
_SCHEMA = """
CREATE TABLE applied (
    plan_id VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, namespace VARCHAR, address VARCHAR NOT NULL,
    options JSON NOT NULL, written_at TIMESTAMP NOT NULL
);
CREATE SEQUENCE entry_seq;
CREATE TABLE entry (
    seq BIGINT NOT NULL DEFAULT nextval('entry_seq'), plan_id VARCHAR NOT NULL, item_id VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL, run_id VARCHAR NOT NULL, event_id INTEGER NOT NULL, state VARCHAR NOT NULL,
    attempt INTEGER NOT NULL, new_run_id VARCHAR, message VARCHAR, written_at TIMESTAMP NOT NULL
);
CREATE VIEW items AS
SELECT * EXCLUDE (seq) FROM entry QUALIFY row_number() OVER (PARTITION BY plan_id, item_id ORDER BY seq DESC) = 1;
"""
_COLUMNS = "item_id, workflow_id, run_id, event_id, state, attempt, new_run_id, message"
_TYPES = {"event_id": "INTEGER", "attempt": "INTEGER"}
_LISTS = ", ".join(f"unnest(CAST(? AS {_TYPES.get(name, 'VARCHAR')}[]))" for name in _COLUMNS.split(", "))
_INSERT = f"""
INSERT INTO entry (plan_id, {_COLUMNS}, written_at) SELECT ?, {_LISTS}, unnest(CAST(? AS TIMESTAMP[]))
"""
"""One statement is one transaction, and costs nearly the same for many entries as for one."""


def ledger_path_of(plan: Path) -> Path:
    """Return the path of this plan's ledger."""
    return plan.with_name(f"{plan.name.removesuffix('.json')}.ledger.duckdb")


class Ledger:
    """What was done about the items of a plan."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: duckdb.DuckDBPyConnection | None = None

    def open_for_writing(self) -> None:
        """Open the file for writing; create it if it does not exist."""
        if self._connection is None:
            if not self.path.exists():
                _make_ledger_file(self.path)
            self._connection = _connect_patiently(self.path, read_only=False)

    def release_file(self) -> None:
        """Close the file. The next entry opens it again."""
        if self._connection is not None:
            with _translate_ledger_errors(self.path):
                self._connection.close()
            self._connection = None

    def record_apply(self, plan: ResetPlan, address: str, options: Mapping[str, Any]) -> None:
        """Record that the plan is being applied, where and how."""
        row = [plan.plan_id, plan.sha256, plan.namespace, address, json.dumps(options), datetime.now(UTC).isoformat()]
        with self._connection_for_writing() as connection:
            connection.execute(
                "INSERT INTO applied VALUES (?, ?, ?, ?, ?, CAST(CAST(? AS TIMESTAMPTZ) AS TIMESTAMP))", row
            )

    def write_entries(self, plan_id: str, entries: Sequence[ItemOutcome]) -> None:
        """Write entries. They are on disk when this returns."""
        columns = [[getattr(one, name) for one in entries] for name in (*_COLUMNS.split(", "), "at")]
        with self._connection_for_writing() as connection:
            connection.execute(_INSERT, [plan_id, *columns])

    def read_outcomes(self, plan_id: str) -> dict[str, ItemOutcome]:
        """Return the newest entry of each item."""
        sql = f"SELECT {_COLUMNS}, strftime(written_at, '%Y-%m-%dT%H:%M:%S.%fZ') FROM items WHERE plan_id = ?"
        return {row[0]: ItemOutcome(*row) for row in self._query_entries(sql, [plan_id])}

    def read_apply_options(self, plan_id: str) -> dict[str, Any] | None:
        """Return the options of the last apply; None if there was none."""
        rows = self._query_entries(
            "SELECT options FROM applied WHERE plan_id = ? ORDER BY written_at DESC LIMIT 1", [plan_id]
        )
        found: dict[str, Any] | None = json.loads(rows[0][0]) if rows else None
        return found

    def _query_entries(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._connection is not None:
            with _translate_ledger_errors(self.path):
                return self._connection.execute(sql, list(parameters)).fetchall()
        if not self.path.is_file():
            return []
        connection = _connect_patiently(self.path, read_only=True)
        try:
            with _translate_ledger_errors(self.path):
                return connection.execute(sql, list(parameters)).fetchall()
        finally:
            connection.close()

    @contextmanager
    def _connection_for_writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with make_files_private(), _translate_ledger_errors(self.path):
            self.open_for_writing()
            assert self._connection is not None
            yield self._connection


def _make_ledger_file(path: Path) -> None:
    """Create the tables atomically: a process killed here must not leave a file without tables."""
    with (
        make_files_private(),
        create_atomically(path) as unfinished,
        _translate_ledger_errors(path),
        duckdb.connect(str(unfinished)) as connection,
    ):
        connection.execute(_SCHEMA)


def _connect_patiently(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Connect, retrying often: others hold the file only briefly."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config={"threads": 1})
        except duckdb.Error as error:
            if "Could not set lock" not in str(error) or time.monotonic() > end:
                raise _explain_ledger_error(path, error) from error
        time.sleep(_PAUSE)


@contextmanager
def _translate_ledger_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise _explain_ledger_error(path, error) from error


def _explain_ledger_error(path: Path, error: duckdb.Error) -> ReplaytoolError:
    text = str(error).splitlines()[0]
    hint = "check its folder, mode and disk; without its ledger a plan is not applied"
    if "does not exist" in text or "Catalog Error" in text:
        hint = "this file is no ledger of replaytool, or of another version of it"
    return ReplaytoolError(f"the ledger {path} failed: {text}", hint, code=ErrorCode.RESET_LEDGER)
