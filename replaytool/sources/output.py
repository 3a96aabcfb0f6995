"""Where results go: a file or an object that is there as a whole or not at all."""

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

from replaytool.errors import ReplaytoolError
from replaytool.sources.local import path_of_uri
from replaytool.sources.object_store_clients import Place, connect, explained
from replaytool.text import visible

_OBJECTS = re.compile(r"(s3|gs|az|abfss?)://", re.IGNORECASE)


class _Pending(io.BufferedWriter):
    """A temporary file that takes its place when it is closed, and disappears when anything goes wrong."""

    def __init__(self, path: str, publish: Callable[[str], None], permissions: int = 0o666) -> None:
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
            self.discard()
            raise

    def discard(self) -> None:
        """Leave the target as it was."""
        self.raw.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        # The base class would close, which publishes: what nobody closed is not finished.
        with contextlib.suppress(Exception):
            if not self.closed:
                self.discard()


def open_output(uri: str) -> BinaryIO:
    """A stream to a path or an object's address; the target changes when it is closed, never half way."""
    if _OBJECTS.match(uri):
        return _object(uri)
    path = path_of_uri(uri) if uri.lower().startswith("file://") else uri
    try:
        return _local(path)
    except OSError as error:
        raise ReplaytoolError(
            f"{visible(path)} cannot be written: {error.strerror or error}",
            "check the folder and its permissions",
        ) from error


def probe_output(uri: str) -> None:
    """Complain before long work about a place that could not be written after it."""
    mode = None if _OBJECTS.match(uri) else _mode(path_of_uri(uri) if uri.lower().startswith("file://") else uri)
    if mode is None or stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # a pipe can be opened only once
        cast(_Pending, open_output(uri)).discard()


def _local(path: str) -> BinaryIO:
    mode = _mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise ReplaytoolError(f"{visible(path)} is a folder", "name the file to write in it")
    if mode is not None and not stat.S_ISREG(mode):
        return open(path, "wb")  # a pipe or a device cannot be replaced
    target = os.path.realpath(path)  # a link goes on leading to its target
    folder, name = os.path.split(target)
    pending = os.path.join(folder, f".{name[:100]}.{os.urandom(6).hex()}.part")

    def publish(finished: str) -> None:
        if mode is not None:
            os.chmod(finished, stat.S_IMODE(mode))
        os.replace(finished, target)

    return cast(BinaryIO, _Pending(pending, publish))


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _object(uri: str) -> BinaryIO:
    place = connect(uri)
    if not place.address.key or place.address.key.endswith("/"):
        raise ReplaytoolError(f"{place.address} names no object", "write the name of the object to make in the bucket")
    pending = os.path.join(tempfile.gettempdir(), f"replaytool-{os.urandom(8).hex()}.part")

    def publish(finished: str) -> None:
        _upload(place, finished)
        os.unlink(finished)

    return cast(BinaryIO, _Pending(pending, publish, 0o600))


def _upload(place: Place, finished: str) -> None:
    # From a finished file and not as it is made: pyarrow completes an upload that an exception cut short.
    try:
        with open(finished, "rb") as content, place.filesystem.open_output_stream(place.path) as upload:
            shutil.copyfileobj(content, upload, 8 * 1024 * 1024)
    except Exception as error:
        raise explained(place.address, error) from error
