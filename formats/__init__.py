"""File formats of exported histories: detection by content, and a reader for each.

To add a format, write one file with a class that follows `formats.base.Format`, add one row to FORMATS, and put a
sample into `fixtures/`; or name it under the entry point group `replaytool.formats` of a package of its own. If two
formats match a file, the first row wins: the stricter format comes first. A record that is more than one file (a
database with its log, a folder, an address) is read by a `PlaceFormat`, one row in PLACE_FORMATS. Formats never know
the store, the replay, or a file's name.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points

from replaytool.errors import ErrorCode
from replaytool.formats.base import HEAD_SIZE, Format, PlaceFormat, Unreadable
from replaytool.formats.broken_json import find_json_fault

FORMATS: tuple[str, ...] = (
    "replaytool.formats.unsupported:AWS_LAMBDA_DURABLE",
    "replaytool.formats.unsupported:AWS_SWF",
    "replaytool.formats.unsupported:DURABLE_TASK",
    "replaytool.formats.temporal.detection:TEMPORAL_PROTO",
    "replaytool.formats.temporal.detection:TEMPORAL_JSON",
)
PLACE_FORMATS: tuple[str, ...] = ()
ENTRY_POINTS = "replaytool.formats"

__all__ = [
    "FORMATS",
    "HEAD_SIZE",
    "PLACE_FORMATS",
    "Format",
    "PlaceFormat",
    "Unreadable",
    "detect_format",
    "find_place_format",
    "list_formats",
    "list_place_formats",
]


@cache
def _load_rows() -> tuple[Format | PlaceFormat, ...]:
    """Load the formats of installed packages, which know their own engine best, and then our own."""
    added = [one.value for one in sorted(entry_points(group=ENTRY_POINTS), key=lambda one: one.name)]
    return tuple(_load_row(row) for row in (*added, *FORMATS, *PLACE_FORMATS))


def _load_row(row: str) -> Format | PlaceFormat:
    module, _, attribute = row.partition(":")
    found: Format | PlaceFormat = getattr(importlib.import_module(module), attribute)
    return found


@cache
def list_formats() -> tuple[Format, ...]:
    """Return the formats of single files, the strictest first."""
    return tuple(one for one in _load_rows() if not isinstance(one, PlaceFormat))


@cache
def list_place_formats() -> tuple[PlaceFormat, ...]:
    """Return the formats of places."""
    return tuple(one for one in _load_rows() if isinstance(one, PlaceFormat))


def find_place_format(place: str) -> PlaceFormat | None:
    """Return the format that claims a file, a folder or an address as a whole."""
    return next((one for one in list_place_formats() if one.claims_place(place)), None)


def detect_format(head: bytes) -> Format:
    """Return the format of content that begins like this."""
    if archive := _find_archive(head):
        raise Unreadable(
            f"{archive} archive, not a history",
            "unpack it and load the folder",
            "byte 0",
            code=ErrorCode.FORMAT_UNKNOWN,
        )
    for candidate in list_formats():
        if candidate.matches_head(head):
            return candidate
    if not head.strip():
        raise Unreadable("the file is empty", "export the history again", "byte 0", code=ErrorCode.FORMAT_EMPTY)
    # Also without a byte order mark: in UTF-16, every other byte of ASCII text is zero.
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (head[1:2] == b"\0" and head[:1] in b'{["'):
        raise Unreadable(
            "the text is UTF-16",
            "save it as UTF-8: PowerShell's > writes UTF-16",
            "byte 0",
            code=ErrorCode.FORMAT_UTF16,
        )
    is_json = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    if is_json and (fault := find_json_fault(head, is_whole=len(head) < HEAD_SIZE)) is not None:
        raise fault
    kind = "JSON, but not a history" if is_json else "neither JSON nor protobuf"
    raise Unreadable(kind, "`replaytool formats` lists the formats", "byte 0", code=ErrorCode.FORMAT_UNKNOWN)


def _find_archive(head: bytes) -> str:
    """Return what kind of archive this is, or ""."""
    if head[257:262] == b"ustar":
        return "a tar"
    return "a zip" if head.startswith(b"PK\x03\x04") else ""
