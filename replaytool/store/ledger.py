"""The ledger of a reset plan: a DuckDB file beside it, in which each step is written before and after it is taken.

Nothing in it is changed or removed: an item's newest entry says where it stands. Whoever applies the plan keeps the
file open and lets go of it every few seconds, so that others can look meanwhile.
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

from replaytool.errors import ReplaytoolError
from replaytool.model.reset_plan import Outcome, ResetPlan
from replaytool.store.atomic_file import appearing

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


def beside(plan: Path) -> Path:
    """Where the ledger of this plan is."""
    return plan.with_name(f"{plan.name.removesuffix('.json')}.ledger.duckdb")


class Ledger:
    """What was done about the items of a plan."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: duckdb.DuckDBPyConnection | None = None

    def open(self) -> None:
        """Hold the file for writing; it is made if it is not there."""
        if self._connection is None:
            if not self.path.exists():
                _make(self.path)
            self._connection = _connected(self.path, read_only=False)

    def release(self) -> None:
        """Let go of the file; the next entry takes hold of it again."""
        if self._connection is not None:
            with _explained(self.path):
                self._connection.close()
            self._connection = None

    def begin(self, plan: ResetPlan, address: str, options: Mapping[str, Any]) -> None:
        """Say that the plan is being applied, where and how."""
        row = [plan.id, plan.sha256, plan.namespace, address, json.dumps(options), datetime.now(UTC).isoformat()]
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO applied VALUES (?, ?, ?, ?, ?, CAST(CAST(? AS TIMESTAMPTZ) AS TIMESTAMP))", row
            )

    def write(self, plan_id: str, entries: Sequence[Outcome]) -> None:
        """Take in entries; when this returns they survive anything."""
        columns = [[getattr(one, name) for one in entries] for name in (*_COLUMNS.split(", "), "at")]
        with self._writing() as connection:
            connection.execute(_INSERT, [plan_id, *columns])

    def outcomes(self, plan_id: str) -> dict[str, Outcome]:
        """The newest entry of each item."""
        sql = f"SELECT {_COLUMNS}, strftime(written_at, '%Y-%m-%dT%H:%M:%S.%fZ') FROM items WHERE plan_id = ?"
        return {row[0]: Outcome(*row) for row in self._read(sql, [plan_id])}

    def options(self, plan_id: str) -> dict[str, Any] | None:
        """How the plan was applied the last time; none where it never was."""
        rows = self._read("SELECT options FROM applied WHERE plan_id = ? ORDER BY written_at DESC LIMIT 1", [plan_id])
        found: dict[str, Any] | None = json.loads(rows[0][0]) if rows else None
        return found

    def _read(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._connection is not None:
            with _explained(self.path):
                return self._connection.execute(sql, list(parameters)).fetchall()
        if not self.path.is_file():
            return []
        connection = _connected(self.path, read_only=True)
        try:
            with _explained(self.path):
                return connection.execute(sql, list(parameters)).fetchall()
        finally:
            connection.close()

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self.open()
        assert self._connection is not None
        with _explained(self.path):
            yield self._connection


def _make(path: Path) -> None:
    """Whoever is killed here must not leave a file in which nobody finds the tables."""
    with appearing(path) as unfinished, _explained(path), duckdb.connect(str(unfinished)) as connection:
        connection.execute(_SCHEMA)


def _connected(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Whoever reads or writes holds the file briefly: ask often, so as not to miss the moment."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config={"threads": 1})
        except duckdb.Error as error:
            if "Could not set lock" not in str(error) or time.monotonic() > end:
                raise _error(path, error) from error
        time.sleep(_PAUSE)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise _error(path, error) from error


def _error(path: Path, error: duckdb.Error) -> ReplaytoolError:
    text = str(error).splitlines()[0]
    hint = "check its folder, mode and disk; without its ledger a plan is not applied"
    if "does not exist" in text or "Catalog Error" in text:
        hint = "this file is no ledger of replaytool, or of another version of it"
    return ReplaytoolError(f"the ledger {path} failed: {text}", hint)
