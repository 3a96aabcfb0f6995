"""What a format is: something that knows its own content and turns it into runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from replaytool.model.history import Hints, Run

HEAD_SIZE = 64 * 1024


class Unreadable(Exception):
    """A file that cannot be taken in: where it stops making sense, why, and what its owner can do."""

    def __init__(self, reason: str, hint: str = "", position: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.position = position


class Format(Protocol):
    """One shape of exported history. Detection looks at content, never at a file's name."""

    @property
    def name(self) -> str:
        """What it is called in the store."""
        ...

    @property
    def engine(self) -> str:
        """The engine that recorded what it reads."""
        ...

    @property
    def about(self) -> str:
        """What it reads, for a list of formats."""
        ...

    def sniff(self, head: bytes) -> bool:
        """Whether content that begins like this is mine; `head` holds up to HEAD_SIZE bytes."""
        ...

    def read(self, stream: BinaryIO, hints: Hints) -> Iterator[Run]:
        """The runs in the stream, one after the other; raises Unreadable where it stops making sense."""
        ...
