"""Compression is found by content and undone as a stream: a small file can unpack to more than memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from replaytool.sources.base import BrokenStream

HEAD_SIZE = 128 * 1024
"""How much of the content can be peeked at before the first read."""

_LAYERS = 2  # an upload that packed what was packed already is common; more than that is somebody's trap


_AGAIN = "copy or download the file again"


class Readable(Protocol):
    """The least that a raw stream must do: objects in a bucket do little more."""

    def read(self, size: int = -1, /) -> bytes | None:
        """At most `size` bytes; none at the end."""
        ...

    def close(self) -> None:
        """Let go of what is underneath."""
        ...


class _Filled(io.RawIOBase):
    """Reads until the buffer is full: a pipe answers in small pieces, and a head must be a whole head."""

    def __init__(self, inner: Readable, *, closes: bool = True, head: bytes = b"") -> None:
        self._inner = inner
        self._closes = closes
        self._head = head
        """What was read of it already."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        filled = 0
        while filled < len(buffer):
            piece = self._piece(len(buffer) - filled)
            if not piece:
                break
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _piece(self, size: int) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._inner.read(size) or b""

    def close(self) -> None:
        if not self.closed and self._closes:
            self._inner.close()
        super().close()


class _Unpacked(_Filled):
    """The same, with the many exceptions of decompressors turned into one that says what happened."""

    def __init__(self, packed: BinaryIO, unpacker: Readable, what: str) -> None:
        super().__init__(unpacker)
        self._packed = packed
        self._what = what

    def _piece(self, size: int) -> bytes:
        try:
            return super()._piece(size)
        except BrokenStream:
            raise
        except EOFError as error:
            raise BrokenStream(f"the {self._what} data ends too early: the file is truncated", _AGAIN) from error
        except (gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise BrokenStream(f"the {self._what} data is damaged: {error}", _AGAIN) from error

    def close(self) -> None:
        super().close()
        self._packed.close()


def unwrapped(stream: Readable, *, closes: bool = True) -> BinaryIO:
    """The stream's content without its compression; a short one is read to its end at once."""
    content: BinaryIO | None = None
    try:
        head = _head(stream)
        if len(head) < HEAD_SIZE and _unpacker(head[:4]) is None:
            if closes:
                stream.close()
            return io.BytesIO(head)
        content = reader = io.BufferedReader(_Filled(stream, closes=closes, head=head), HEAD_SIZE)
        for _ in range(_LAYERS):
            unpack = _unpacker(reader.peek(4)[:4])
            if unpack is None:
                break
            content = reader = io.BufferedReader(unpack(reader), HEAD_SIZE)
        return reader
    except BaseException:
        if content is not None:
            content.close()
        elif closes:
            stream.close()
        raise


def _head(stream: Readable) -> bytes:
    """As much as is looked at before anything is handed out; less than that is all there is."""
    head = stream.read(HEAD_SIZE) or b""
    while head and len(head) < HEAD_SIZE:
        piece = stream.read(HEAD_SIZE - len(head))
        if not piece:
            break
        head += piece
    return head


def _unpacker(magic: bytes) -> Callable[[BinaryIO], _Unpacked] | None:
    if magic.startswith(b"\x1f\x8b\x08"):
        return _gunzip
    return _unzstd if magic == b"\x28\xb5\x2f\xfd" else None


def _gunzip(packed: BinaryIO) -> _Unpacked:
    return _Unpacked(packed, gzip.GzipFile(fileobj=packed, mode="rb"), "gzip")


def _unzstd(packed: BinaryIO) -> _Unpacked:
    import pyarrow

    if not pyarrow.Codec.is_available("zstd"):
        raise BrokenStream(
            "the content is packed with zstd, which this build of pyarrow cannot read", "unpack it first"
        )
    return _Unpacked(packed, _Zstd(packed), "zstd")


class _Zstd:
    """Arrow's exceptions are its own; here they become those of the standard library's decompressors."""

    def __init__(self, packed: BinaryIO) -> None:
        import pyarrow

        self._stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(packed, mode="r"), "zstd")

    def read(self, size: int = -1, /) -> bytes:
        try:
            piece: bytes = self._stream.read(size)
        except OSError as error:
            if "runcated" in str(error):
                raise EOFError from error
            raise ValueError(str(error)) from error
        return piece

    def close(self) -> None:
        self._stream.close()
