"""Create files that are there whole or not at all, and that their owner alone can read."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class _PrivateFiles:
    """The mask of new files belongs to the whole process: the first block sets it, and the last one restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._before = 0

    def enter_block(self) -> None:
        with self._lock:
            if not self._blocks:
                self._before = os.umask(0o077)
            self._blocks += 1

    def leave_block(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                os.umask(self._before)


_private_files = _PrivateFiles()


@contextmanager
def make_files_private() -> Iterator[None]:
    """Make files that this block creates readable by their owner alone: they hold payloads.

    DuckDB creates its log and its temporary files when it needs them, and takes no mode for them.
    """
    _private_files.enter_block()
    try:
        yield
    finally:
        _private_files.leave_block()


@contextmanager
def create_atomically(path: Path) -> Iterator[Path]:
    """Yield the path to write. The file gets its name when the block ends, unless another process was faster."""
    unfinished = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    try:
        yield unfinished
        _give_final_name(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _give_final_name(unfinished: Path, path: Path) -> None:
    try:
        with suppress(FileExistsError):
            os.link(unfinished, path)
    except OSError:  # a file system without links
        if not path.exists():
            os.replace(unfinished, path)
