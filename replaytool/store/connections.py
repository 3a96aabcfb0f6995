"""Connections to one DuckDB file: opened late, held briefly, and never at the cost of a traceback.

DuckDB lets in one writing process or many reading ones. So a writer opens the file for each burst and closes it
again, and whoever finds it taken waits a while before saying so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TypeVar

import duckdb

from replaytool.errors import ReplaytoolError
from replaytool.store.atomic_file import appearing

FORMAT_VERSION = 1
_STORAGE = "v1.5.0"  # so that a DuckDB of the last year opens the file too
_WAIT_TO_READ = 10.0
_WAIT_TO_WRITE = 60.0
_ROWS_TOGETHER = 60 * 1024
"""Half of what is usual: a burst of full groups goes into the file as it comes, where a shorter one is copied first."""
_LOCKED = ("Could not set lock", "different configuration", "Unique file handle conflict")

Connection = duckdb.DuckDBPyConnection
Opened = TypeVar("Opened")
_WRITER: dict[str, str | bool | int | float | list[str]] = {
    "storage_compatibility_version": _STORAGE,
    "memory_limit": "192MB",
    "threads": 1,  # a burst is too short for a second one to pay
    "preserve_insertion_order": False,
    "wal_autocheckpoint": "1KB",  # a burst goes into the tables at once, and not first into the log
}


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """A read-only connection to a store that is there and of a version that is understood."""
    if not path.is_file():
        raise ReplaytoolError(
            f"there is no store at {path}",
            "make one with `replaytool load PATH…`, or name another with --store",
        )
    connection = _patiently(lambda: duckdb.connect(str(path), read_only=True), path, _WAIT_TO_READ)
    try:
        _check_version(connection, path)
        with translated(path):
            yield connection
    finally:
        connection.close()


@contextmanager
def writing(path: Path) -> Iterator[Connection]:
    """A connection that may write; the store is made if it is not there."""
    if not path.parent.is_dir():
        raise ReplaytoolError(
            f"cannot make the store {path}: there is no folder {path.parent}", "make the folder first"
        )
    connection = duckdb.connect(config=_WRITER | {"temp_directory": f"{path}.tmp"})
    try:
        if not path.exists():
            with appearing(path) as unfinished, translated(path):
                _make(connection, unfinished)
        _patiently(lambda: _attach(connection, path), path, _WAIT_TO_WRITE)
        _prepare(connection, path)
        with translated(path):
            yield connection
    finally:
        _close(connection, path)


def is_store(path: Path) -> bool:
    """Whether this is a DuckDB file, told by content as everything is."""
    try:
        with path.open("rb") as file:
            return file.read(12)[8:12] == b"DUCK"
    except OSError:
        return False


def in_memory() -> Connection:
    """A store that leaves nothing behind."""
    connection = duckdb.connect(":memory:")
    _create(connection)
    return connection


def _make(connection: Connection, unfinished: Path) -> None:
    """Detached at the end, so that all of it is in the file before the file gets its name."""
    _attach(connection, unfinished)
    _create(connection)
    connection.execute("USE memory")
    connection.execute("DETACH store")


def _attach(connection: Connection, path: Path) -> None:
    """The file as the one that is written: only so can it be said how long its groups of rows are."""
    name = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{name}' AS store (ROW_GROUP_SIZE {_ROWS_TOGETHER})")
    connection.execute("USE store")


def _close(connection: Connection, path: Path) -> None:
    """Closing writes what is still in the log, so it can fail as any write can."""
    with translated(path):
        connection.close()


def _patiently(opened: Callable[[], Opened], path: Path, patience: float) -> Opened:
    deadline = time.monotonic() + patience
    pause = 0.01
    while True:
        try:
            return opened()
        except duckdb.Error as error:
            if not _is_locked(error) or time.monotonic() > deadline:
                raise _explained(error, path) from error
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def _is_locked(error: duckdb.Error) -> bool:
    """By another process; or by another thread of this one, which has it open to read or to write."""
    return any(words in str(error) for words in _LOCKED)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """DuckDB's errors about the file, as something that a person can act on."""
    try:
        yield
    except (
        duckdb.IOException,
        duckdb.FatalException,
        duckdb.InternalException,
        duckdb.OutOfMemoryException,
        duckdb.TransactionException,
    ) as error:
        raise _explained(error, path) from error


def _explained(error: duckdb.Error, path: Path) -> ReplaytoolError:
    text = str(error).splitlines()[0]
    if _is_locked(error):
        holder = re.search(r"PID (\d+)", str(error))
        who = f"process {holder[1]}" if holder else "another process"
        return ReplaytoolError(f"the store {path} is in use by {who}", "wait for it to end, or use another --store")
    if "No space left" in text or "File too large" in text or "not enough space" in text.lower():
        return ReplaytoolError(
            f"the disk is full: the store {path} could not grow",
            "what was committed is safe; free room and load again",
        )
    if "Permission denied" in text:
        return ReplaytoolError(f"no permission to open the store {path}", "check its owner and mode")
    if "not a valid DuckDB" in text or "version number" in text:
        return ReplaytoolError(f"{path} is no store that this DuckDB can read: {text}", "name another with --store")
    return ReplaytoolError(f"the store {path} failed: {text}", "if it is damaged, load the histories into a new one")


def _prepare(connection: Connection, path: Path) -> None:
    try:
        _check_version(connection, path)
    except ReplaytoolError:
        with translated(path):
            if connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall():
                raise
            _create(connection)


def _create(connection: Connection) -> None:
    connection.execute("PRAGMA disable_optimizer")  # looks for long at each of many statements that are but names
    connection.begin()
    for name in ("schema", "views", "comments"):
        connection.execute((resources.files(__package__) / f"{name}.sql").read_text(encoding="utf-8"))
    meta = {
        "format_version": str(FORMAT_VERSION),
        "storage": _STORAGE,
        "written_by": f"DuckDB {duckdb.__version__}",
    }
    for key, value in meta.items():
        connection.execute("INSERT INTO meta VALUES (?, ?)", [key, value])
    connection.commit()
    connection.execute("PRAGMA enable_optimizer")


def _check_version(connection: Connection, path: Path) -> None:
    try:
        rows = connection.execute("SELECT value FROM meta WHERE key = 'format_version'").fetchall()
    except duckdb.CatalogException:
        rows = []
    if not rows:
        raise ReplaytoolError(f"{path} is a DuckDB file, but no store of replaytool", "name another with --store")
    found = rows[0][0]
    if found == str(FORMAT_VERSION):
        return
    if found.isdigit() and int(found) > FORMAT_VERSION:
        raise ReplaytoolError(
            f"the store {path} is of format {found}, made by a newer replaytool", "upgrade replaytool"
        )
    raise ReplaytoolError(
        f"the store {path} is of format {found}; this replaytool reads format {FORMAT_VERSION}",
        "load the histories into a new store: replaytool --store NEW load PATH…",
    )
