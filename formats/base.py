"""The contract of a file format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol, runtime_checkable

from replaytool.errors import ErrorCode
from replaytool.model.history import Run, RunHints

HEAD_SIZE = 64 * 1024


class Unreadable(Exception):
    """A file that cannot be read: where, why, and what to do."""

    def __init__(self, reason: str, hint: str = "", position: str = "", *, code: ErrorCode) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.position = position
        self.code = code


class Format(Protocol):
    """One format of exported histories. Detection looks at content, never at a file's name."""

    @property
    def name(self) -> str:
        """The name in the store."""
        ...

    @property
    def engine(self) -> str:
        """The engine that recorded these histories."""
        ...

    @property
    def about(self) -> str:
        """What it reads, for the list of formats."""
        ...

    def matches_head(self, head: bytes) -> bool:
        """Return whether content that begins like this has this format. `head` holds up to HEAD_SIZE bytes."""
        ...

    def read_runs(self, stream: BinaryIO, hints: RunHints) -> Iterator[Run]:
        """Yield the runs in the stream, one after the other. Raise Unreadable where the content is malformed."""
        ...


@runtime_checkable
class PlaceFormat(Protocol):
    """A record that is more than one file: a database with its log, a folder that is one run or many, an address."""

    @property
    def name(self) -> str:
        """The name in the store."""
        ...

    @property
    def engine(self) -> str:
        """The engine that recorded it."""
        ...

    @property
    def about(self) -> str:
        """What it reads, for the list of formats."""
        ...

    def claims_place(self, place: str) -> bool:
        """Return whether the file, folder or address is one of these; it is asked before files are looked at."""
        ...

    def read_place(self, place: str) -> Iterator[Run]:
        """Yield the runs of the place, read-only. Raise Unreadable where the content is malformed."""
        ...
