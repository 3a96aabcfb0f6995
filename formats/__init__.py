"""Every shape of exported history, and the one place that tells which one a file has.

Adding a format: write one file with a class that follows `formats.base.Format`, add one row to FORMATS below, and
put a sample into `fixtures/`. A format is found by content, so the order of the rows decides between formats that
both know a file: the stricter one comes first.
"""

from __future__ import annotations

from replaytool.formats.base import HEAD_SIZE, Format, Unreadable
from replaytool.formats.temporal.json_files import TemporalJson
from replaytool.formats.temporal.proto_files import TemporalProto
from replaytool.formats.unsupported import FOREIGN

FORMATS: tuple[Format, ...] = (*FOREIGN, TemporalProto(), TemporalJson())

__all__ = ["FORMATS", "HEAD_SIZE", "Format", "Unreadable", "detect"]


def detect(head: bytes) -> Format:
    """The format of content that begins like this."""
    for candidate in FORMATS:
        if candidate.sniff(head):
            return candidate
    if not head.strip():
        raise Unreadable("the file is empty", "export the history again", "byte 0")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (head[1:2] == b"\0" and head[:1] in b'{["'):
        raise Unreadable("text in UTF-16", "save it as UTF-8: PowerShell's > writes UTF-16", "byte 0")
    kind = "JSON, but not a history" if head.lstrip()[:1] in (b"{", b"[") else "neither JSON nor protobuf"
    raise Unreadable(kind, "`replaytool formats` lists what can be read", "byte 0")
