"""Where histories come from: files, folders, standard input, buckets. Compression is found by content.

To add a place, write one module with a function that takes the user's argument and returns an iterator of
`HistorySource`, and give its scheme a row in `SCHEMES`. The function checks what it can before it returns, so that a
typing error in the last argument is found before the first file is loaded. It raises ReplaytoolError for what the user
must fix; a fault of one file among many is an OSError of its `open()`. Bytes go through
`compressed.unwrap_stream`. A source never looks at what the bytes mean: that is a format's work.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.sources import local
from replaytool.sources import object_store as objects
from replaytool.sources.base import (
    BrokenStream,
    ClaimsPlace,
    HistorySource,
    SourceUnavailable,
    make_place_source,
    make_refused_source,
)
from replaytool.sources.file_names import hints_from_name
from replaytool.sources.output import open_output, probe_output
from replaytool.text import escape_controls

__all__ = [
    "SCHEMES",
    "BrokenStream",
    "HistorySource",
    "SourceUnavailable",
    "hints_from_name",
    "open_output",
    "open_sources",
    "probe_output",
]

Opener = Callable[[str], Iterator[HistorySource]]

SCHEMES: dict[str, Opener] = {
    "abfs": objects.open_objects,
    "abfss": objects.open_objects,
    "az": objects.open_objects,
    "file": local.open_file_uri,
    "gs": objects.open_objects,
    "s3": objects.open_objects,
}

# At least two letters: C:// is a drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


_PLACE_ERRORS = {
    ErrorCode.SOURCE_MISSING,
    ErrorCode.SOURCE_UNREADABLE,
    ErrorCode.SOURCE_EMPTY,
    ErrorCode.SOURCE_BUCKET_MISSING,
}
"""What may be wrong with one place only. All other errors are about the command as a whole."""


def open_sources(
    arguments: Sequence[str],
    stdin: BinaryIO | None = None,
    claims_place: ClaimsPlace = lambda place: False,
    *,
    keep_going: bool = False,
) -> Iterator[HistorySource]:
    """Return all sources that the arguments name, in order. Every argument is checked before the first is read.

    With `keep_going`, a place without histories becomes a source that cannot be opened, if another place has some.
    """
    if list(arguments).count("-") > 1:
        raise ReplaytoolError(
            "standard input is named twice", "it can be read once: give - once", code=ErrorCode.SOURCE_STDIN_TWICE
        )
    found: list[Iterator[HistorySource]] = []
    refused: list[ReplaytoolError] = []
    for argument in arguments:
        try:
            found.append(_open_argument(argument, stdin, claims_place))
        except ReplaytoolError as error:
            if not keep_going or error.code not in _PLACE_ERRORS:
                raise
            refused.append(error)
            found.append(iter([make_refused_source(argument, error)]))
    if refused and len(refused) == len(found):
        raise refused[0]
    return itertools.chain.from_iterable(found)


def _open_argument(argument: str, stdin: BinaryIO | None, claims_place: ClaimsPlace) -> Iterator[HistorySource]:
    if argument == "-":
        return iter([local.open_standard_input(stdin)])
    if claims_place(argument):
        return iter([make_place_source(argument)])
    scheme = _SCHEME.match(argument)
    if scheme is None:
        return local.open_paths(argument, claims_place)
    opener = SCHEMES.get(scheme[1].lower())
    if opener is None:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise ReplaytoolError(
            f"nothing here reads {escape_controls(scheme[0])} addresses",
            f"known are {known}, a path, and - for standard input; `replaytool pull` reads a Temporal server",
            code=ErrorCode.SOURCE_SCHEME,
        )
    return opener(argument)
