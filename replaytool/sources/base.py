"""The contract between the places that histories come from and the rest."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import RunHints
from replaytool.text import hide_url_secrets


@dataclass(frozen=True, slots=True)
class HistorySource:
    """The bytes of one file. It is opened late and only once: a folder may hold more than memory does."""

    name: str
    open: Callable[[], BinaryIO]
    hints: RunHints = field(default_factory=RunHints)
    place: str | None = None
    """A file, folder or address that a format reads as a whole; it is not opened as a file."""


ClaimsPlace = Callable[[str], bool]
"""Return whether a format reads this file, folder or address as a whole."""


def make_place_source(place: str) -> HistorySource:
    """Return a source for a place that a format reads by itself."""

    def refuse_to_open() -> BinaryIO:
        raise AssertionError(f"{place} is read as a whole")

    return HistorySource(place, refuse_to_open, place=place)


def make_refused_source(name: str, error: ReplaytoolError) -> HistorySource:
    """Return a source that cannot be opened, so that the error of one place does not hide the other places."""

    def refuse_to_open() -> BinaryIO:
        raise SourceUnavailable(error.message, error.hint, code=error.code) from error

    return HistorySource(os.fsencode(hide_url_secrets(name)).decode("utf-8", "backslashreplace"), refuse_to_open)


class SourceUnavailable(OSError):
    """A source that cannot be read for a reason outside the file system. The hint says what to do."""

    def __init__(self, reason: str, hint: str, *, code: ErrorCode) -> None:
        super().__init__(reason)
        self.hint = hint
        self.code = code


class BrokenStream(SourceUnavailable):
    """Compressed bytes that are damaged or end too early. What was read so far cannot be trusted."""
