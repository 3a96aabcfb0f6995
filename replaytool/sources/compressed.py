"""Find compression by content and unpack it as a stream: a small file can unpack to more than memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from replaytool.errors import ErrorCode
from replaytool.sources.base import BrokenStream

HEAD_SIZE = 128 * 1024
"""How many bytes can be peeked at before the first read."""

_LAYERS = 2  # People upload files that were packed twice; more layers than that are an attack


_AGAIN = "copy or download the file again"


class RawReader(Protocol):
    """The least that a raw stream must do. An object in a bucket does little more."""

    def read(self, size: int = -1, /) -> bytes | None:
        """Return at most `size` bytes; none at the end."""
        ...

    def close(self) -> None:
        """Close the underlying stream."""
        ...


class _FullReader(io.RawIOBase):
    """Read until the buffer is full: a pipe answers in small pieces, and a format needs the whole head."""

    def __init__(self, inner: RawReader, *, closes: bool = True, head: bytes = b"") -> None:
        self._inner = inner
        self._closes = closes
        self._head = head
        """Bytes that were read before."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        filled = 0
        while filled < len(buffer):
            piece = self._read_piece(len(buffer) - filled)
            if not piece:
                break
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _read_piece(self, size: int) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._inner.read(size) or b""

    def close(self) -> None:
        if not self.closed and self._closes:
            self._inner.close()
        super().close()


class _UnpackedReader(_FullReader):
    """Turn the many exceptions of decompressors into one that says what happened."""

    def __init__(self, packed: BinaryIO, unpacker: RawReader, what: str) -> None:
        super().__init__(unpacker)
        self._packed = packed
        self._what = what

    def _read_piece(self, size: int) -> bytes:
        try:
            return super()._read_piece(size)
        except BrokenStream:
            raise
        except EOFError as error:
            raise BrokenStream(
                f"the {self._what} data ends too early: the file is truncated", _AGAIN, code=ErrorCode.SOURCE_DAMAGED
            ) from error
        except (gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise BrokenStream(
                f"the {self._what} data is damaged: {error}", _AGAIN, code=ErrorCode.SOURCE_DAMAGED
            ) from error

    def close(self) -> None:
        super().close()
        self._packed.close()


def unwrap_stream(stream: RawReader, *, closes: bool = True) -> BinaryIO:
    """Return the unpacked content. A short stream is read to its end at once."""
    content: BinaryIO | None = None
    try:
        head = _read_head(stream)
        if len(head) < HEAD_SIZE and _find_unpacker(head[:4]) is None:
            if closes:
                stream.close()
            return io.BytesIO(head)
        content = reader = io.BufferedReader(_FullReader(stream, closes=closes, head=head), HEAD_SIZE)
        for _ in range(_LAYERS):
            unpack = _find_unpacker(reader.peek(4)[:4])
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


def _read_head(stream: RawReader) -> bytes:
    """Read the head; if it is shorter than `HEAD_SIZE`, the stream is at its end."""
    head = stream.read(HEAD_SIZE) or b""
    while head and len(head) < HEAD_SIZE:
        piece = stream.read(HEAD_SIZE - len(head))
        if not piece:
            break
        head += piece
    return head


def _find_unpacker(magic: bytes) -> Callable[[BinaryIO], _UnpackedReader] | None:
    if magic.startswith(b"\x1f\x8b\x08"):
        return _unpack_gzip
    return _unpack_zstd if magic == b"\x28\xb5\x2f\xfd" else None


def _unpack_gzip(packed: BinaryIO) -> _UnpackedReader:
    return _UnpackedReader(packed, gzip.GzipFile(fileobj=packed, mode="rb"), "gzip")


def _unpack_zstd(packed: BinaryIO) -> _UnpackedReader:
    import pyarrow

    if not pyarrow.Codec.is_available("zstd"):
        raise BrokenStream(
            "the content is packed with zstd, which this build of pyarrow cannot read",
            "unpack it first",
            code=ErrorCode.SOURCE_ZSTD,
        )
    return _UnpackedReader(packed, _Zstd(packed), "zstd")


class _Zstd:
    """Raise the standard library's exceptions in place of Arrow's own."""

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
