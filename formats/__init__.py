"""File formats of exported histories: detection by content, and a reader for each.

To add a format, write one file with a class that follows `formats.base.Format`, add one row to FORMATS, and put a
sample into `fixtures/`. If two formats match a file, the first row wins: the stricter format comes first. Formats
never know the store, the replay, or a file's name.
"""

from __future__ import annotations

from replaytool.formats.base import HEAD_SIZE, Format, Unreadable
from replaytool.formats.temporal.json_files import TemporalJson
from replaytool.formats.temporal.proto_files import TemporalProto
from replaytool.formats.unsupported import FOREIGN

FORMATS: tuple[Format, ...] = (*FOREIGN, TemporalProto(), TemporalJson())

__all__ = ["FORMATS", "HEAD_SIZE", "Format", "Unreadable", "detect_format"]


def detect_format(head: bytes) -> Format:
    """Return the format of content that begins like this."""
    for candidate in FORMATS:
        if candidate.matches_head(head):
            return candidate
    if not head.strip():
        raise Unreadable("the file is empty", "export the history again", "byte 0")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (head[1:2] == b"\0" and head[:1] in b'{["'):
        raise Unreadable("the text is UTF-16", "save it as UTF-8: PowerShell's > writes UTF-16", "byte 0")
    kind = "JSON, but not a history" if head.lstrip()[:1] in (b"{", b"[") else "neither JSON nor protobuf"
    raise Unreadable(kind, "`replaytool formats` lists the formats", "byte 0")
