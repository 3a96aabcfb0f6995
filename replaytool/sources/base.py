"""What a source is: the contract between the places that histories come from and the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from replaytool.model.history import Hints


@dataclass(frozen=True, slots=True)
class Source:
    """One file's worth of bytes. It is opened late and once: a folder may hold more than memory does."""

    name: str
    open: Callable[[], BinaryIO]
    hints: Hints = field(default_factory=Hints)


class Unavailable(OSError):
    """One source that cannot be had, for a reason that is not the file system's; the hint says what to do."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


class BrokenStream(Unavailable):
    """Compressed bytes that end too early or were damaged: what was read so far cannot be trusted."""
