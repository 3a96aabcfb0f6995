"""A lock on a plan: one process applies it at a time, and the second one is told who that is."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from replaytool.errors import FINDINGS, ErrorCode, ReplaytoolError
from replaytool.text import escape_controls


@contextmanager
def hold_apply_lock(path: Path) -> Iterator[None]:
    """Hold the lock. The operating system releases it when the process ends."""
    try:
        handle: BinaryIO = path.open("a+b")
    except OSError as error:
        raise ReplaytoolError(
            f"cannot write {path}: {error.strerror}",
            "the ledger is written beside the plan: check that folder",
            code=ErrorCode.RESET_LEDGER,
        ) from error
    with handle:
        if not _try_lock(handle):
            raise ReplaytoolError(
                f"another process is applying this plan: {_describe_lock_holder(path)}",
                "`replaytool reset status` shows its progress; run apply again when it has ended",
                FINDINGS,
                code=ErrorCode.RESET_LOCKED,
            )
        handle.truncate(0)
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        handle.write(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}).encode())
        handle.flush()
        yield


def _describe_lock_holder(path: Path) -> str:
    try:
        found = json.loads(path.read_bytes())
        return escape_controls(f"process {found['process']} on {found['host']}, since {found['since']}")
    except (OSError, ValueError, KeyError, TypeError):
        return "by another process"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: BinaryIO) -> bool:
        try:
            handle.seek(1 << 20)  # after the text, which others read
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: BinaryIO) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
