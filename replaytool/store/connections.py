"""Connections to one DuckDB file. They are opened late, held briefly, and fail with a clear error.

DuckDB allows one writing process or many reading ones. So a writer opens the file for each transaction and closes it
again, and a process that finds the file locked waits a while before it gives up.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import duckdb

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.store import schema
from replaytool.store.atomic_file import create_atomically, make_files_private

_WAIT_TO_READ = 10.0
_WAIT_TO_WRITE = 60.0
_ROWS_TOGETHER = 60 * 1024
"""Half of the default: full row groups are written directly, and shorter ones are copied first."""
_LOCKED = ("Could not set lock", "different configuration", "Unique file handle conflict")

TRUNCATED = "Could not read enough bytes"
"""What DuckDB says about a file that ends too early."""
Connection = duckdb.DuckDBPyConnection
Opened = TypeVar("Opened")
_WRITER: dict[str, str | bool | int | float | list[str]] = {
    "storage_compatibility_version": schema.STORAGE,
    "memory_limit": "192MB",
    "threads": 1,  # a transaction is too short to gain from a second thread
    "preserve_insertion_order": False,
    "wal_autocheckpoint": "1KB",  # a transaction goes into the tables at once, not first into the log
}


@contextmanager
def connect_read_only(path: Path) -> Iterator[Connection]:
    """Open a store of a known version for reading."""
    if not path.is_file():
        raise ReplaytoolError(
            f"there is no store at {path}",
            "make one with `replaytool load PATH…`, or name another with --store",
            code=ErrorCode.STORE_MISSING,
        )
    connection = _open_read_only(path)
    if schema.is_upgradable(connection):
        connection.close()
        with connect_for_writing(path):
            pass
        connection = _open_read_only(path)
    try:
        schema.check_version(connection, path)
        with translate_store_errors(path):
            yield connection
    finally:
        connection.close()


def _open_read_only(path: Path) -> Connection:
    return _retry_while_locked(lambda: duckdb.connect(str(path), read_only=True), path, _WAIT_TO_READ)


@contextmanager
def connect_for_writing(path: Path) -> Iterator[Connection]:
    """Open a store for writing; create it if it does not exist."""
    if not path.parent.is_dir():
        raise ReplaytoolError(
            f"cannot make the store {path}: there is no folder {path.parent}",
            "make the folder first",
            code=ErrorCode.STORE_FOLDER,
        )
    with make_files_private():
        yield from _open_for_writing(path)


def _open_for_writing(path: Path) -> Iterator[Connection]:
    connection = duckdb.connect(config=_WRITER | {"temp_directory": f"{path}.tmp"})
    try:
        if not path.exists():
            with create_atomically(path) as unfinished, translate_store_errors(path):
                _make_store_file(connection, unfinished)
        _retry_while_locked(lambda: _attach_store(connection, path), path, _WAIT_TO_WRITE)
        _prepare_store(connection, path)
        with translate_store_errors(path):
            yield connection
    finally:
        _close_store(connection, path)


def is_store(path: Path) -> bool:
    """Return whether this is a DuckDB file, by its content."""
    try:
        if not path.is_file():
            return False  # opening a named pipe would wait for its writer
        with path.open("rb") as file:
            return file.read(12)[8:12] == b"DUCK"
    except OSError:
        return False


def connect_in_memory() -> Connection:
    """Create a store in memory."""
    connection = duckdb.connect(":memory:")
    schema.create_schema(connection)
    return connection


def _make_store_file(connection: Connection, unfinished: Path) -> None:
    """Create the tables and detach, so that the file is complete before it gets its name."""
    _attach_store(connection, unfinished)
    schema.create_schema(connection)
    connection.execute("USE memory")
    connection.execute("DETACH store")


def _attach_store(connection: Connection, path: Path) -> None:
    """Attach the file: only ATTACH accepts a row group size."""
    name = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{name}' AS store (ROW_GROUP_SIZE {_ROWS_TOGETHER})")
    connection.execute("USE store")


def _close_store(connection: Connection, path: Path) -> None:
    """Close the connection. Closing writes the rest of the log, so it can fail like any write."""
    with translate_store_errors(path):
        connection.close()


def _retry_while_locked(opened: Callable[[], Opened], path: Path, patience: float) -> Opened:
    deadline = time.monotonic() + patience
    pause = 0.01
    while True:
        try:
            return opened()
        except duckdb.Error as error:
            if not _is_lock_error(error) or time.monotonic() > deadline:
                raise explain_store_error(error, path) from error
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def _is_lock_error(error: duckdb.Error) -> bool:
    """Return whether another process, or another thread of this one, has the file open."""
    return any(words in str(error) for words in _LOCKED)


@contextmanager
def translate_store_errors(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors about the file into ones that the user can act on."""
    try:
        yield
    except (
        duckdb.IOException,
        duckdb.FatalException,
        duckdb.InternalException,
        duckdb.OutOfMemoryException,
        duckdb.TransactionException,
    ) as error:
        raise explain_store_error(error, path) from error


def explain_store_error(error: duckdb.Error, path: Path) -> ReplaytoolError:
    """Return the error to show for what DuckDB says about the file."""
    text = str(error).splitlines()[0]
    if _is_lock_error(error):
        holder = re.search(r"PID (\d+)", str(error))
        who = f"process {holder[1]}" if holder else "another process"
        return ReplaytoolError(
            f"the store {path} is in use by {who}",
            "wait for it to end, or use another --store",
            code=ErrorCode.STORE_LOCKED,
        )
    if "No space left" in text or "File too large" in text or "not enough space" in text.lower():
        return ReplaytoolError(
            f"the disk is full: the store {path} could not grow",
            "what was committed is safe; free room and load again",
            code=ErrorCode.STORE_DISK_FULL,
        )
    if TRUNCATED in text:
        return ReplaytoolError(
            f"the store {path} is truncated: it is shorter than what it should hold",
            "copy it again, or load the histories into a new one",
            code=ErrorCode.STORE_FAILED,
        )
    if "Permission denied" in text:
        return ReplaytoolError(
            f"no permission to open the store {path}", "check its owner and mode", code=ErrorCode.STORE_PERMISSION
        )
    if "not a valid DuckDB" in text or "version number" in text:
        return ReplaytoolError(
            f"{path} is no store that this DuckDB can read: {text}",
            "name another with --store",
            code=ErrorCode.STORE_NOT_DUCKDB,
        )
    return ReplaytoolError(
        f"the store {path} failed: {text}",
        "if it is damaged, load the histories into a new one",
        code=ErrorCode.STORE_FAILED,
    )


def _prepare_store(connection: Connection, path: Path) -> None:
    """Create the tables in an empty file, or bring an older store up to date."""
    if schema.is_upgradable(connection):
        with translate_store_errors(path):
            schema.upgrade_schema(connection)
    try:
        schema.check_version(connection, path)
    except ReplaytoolError:
        with translate_store_errors(path):
            if connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall():
                raise
            schema.create_schema(connection)
