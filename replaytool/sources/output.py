"""Write results to a file or an object that appears whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO, cast

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.sources.local import path_of_uri
from replaytool.sources.object_store_clients import ObjectPlace, connect_object_store, explain_object_error
from replaytool.text import escape_controls

_OBJECTS = re.compile(r"(s3|gs|az|abfss?)://", re.IGNORECASE)


class _PendingFile(io.BufferedWriter):
    """A temporary file that replaces its target when it is closed, and disappears if anything goes wrong.

    Plans and reports hold payloads, so a new file is readable by its owner alone. An existing target keeps its mode.
    """

    def __init__(self, path: str, publish: Callable[[str], None], permissions: int = 0o600) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), permissions)
        super().__init__(io.FileIO(handle, "wb"), 1024 * 1024)
        self._path = path
        self._publish = publish

    def close(self) -> None:
        if self.closed:
            return
        try:
            self.flush()
            os.fsync(self.fileno())
            self.raw.close()
            self._publish(self._path)
        except BaseException:
            self.discard_output()
            raise

    def discard_output(self) -> None:
        """Remove the temporary file and leave the target unchanged."""
        self.raw.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard_output()

    def __del__(self) -> None:
        # The base class would close here, which publishes; an output that nobody closed is not finished.
        with contextlib.suppress(Exception):
            if not self.closed:
                self.discard_output()


def open_output(uri: str) -> BinaryIO:
    """Return a stream to a path or an object. The target changes when the stream is closed, never before."""
    if _OBJECTS.match(uri):
        return _open_object_output(uri)
    path = path_of_uri(uri) if uri.lower().startswith("file://") else uri
    try:
        return _open_local_output(path)
    except OSError as error:
        raise ReplaytoolError(
            f"{escape_controls(path)} cannot be written: {error.strerror or error}",
            "check the folder and its permissions",
            code=ErrorCode.OUTPUT_UNWRITABLE,
        ) from error


def probe_output(uri: str) -> None:
    """Raise now if the target could not be written after long work."""
    mode = (
        None if _OBJECTS.match(uri) else _mode_of_path(path_of_uri(uri) if uri.lower().startswith("file://") else uri)
    )
    if mode is None or stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # a pipe can be opened only once
        cast(_PendingFile, open_output(uri)).discard_output()


def _open_local_output(path: str) -> BinaryIO:
    mode = _mode_of_path(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise ReplaytoolError(
            f"{escape_controls(path)} is a folder", "name the file to write in it", code=ErrorCode.OUTPUT_UNWRITABLE
        )
    if mode is not None and not stat.S_ISREG(mode):
        return open(path, "wb")  # a pipe or a device cannot be replaced
    target = os.path.realpath(path)  # a link keeps pointing at its target
    folder, name = os.path.split(target)
    pending = os.path.join(folder, f".{name[:100]}.{os.urandom(6).hex()}.part")

    def replace_target(finished: str) -> None:
        if mode is not None:
            os.chmod(finished, stat.S_IMODE(mode))
        os.replace(finished, target)

    return cast(BinaryIO, _PendingFile(pending, replace_target))


def _mode_of_path(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _open_object_output(uri: str) -> BinaryIO:
    place = connect_object_store(uri)
    if not place.address.key or place.address.key.endswith("/"):
        raise ReplaytoolError(
            f"{place.address} names no object",
            "write the name of the object to make in the bucket",
            code=ErrorCode.OUTPUT_OBJECT,
        )
    pending = os.path.join(tempfile.gettempdir(), f"replaytool-{os.urandom(8).hex()}.part")

    def upload_and_remove(finished: str) -> None:
        _upload_file(place, finished)
        os.unlink(finished)

    return cast(BinaryIO, _PendingFile(pending, upload_and_remove))


def _upload_file(place: ObjectPlace, finished: str) -> None:
    # Uploaded from a finished file: pyarrow completes an upload even if an exception cut it short.
    try:
        with open(finished, "rb") as content, place.filesystem.open_output_stream(place.path) as upload:
            shutil.copyfileobj(content, upload, 8 * 1024 * 1024)
    except Exception as error:
        raise explain_object_error(place.address, error) from error
