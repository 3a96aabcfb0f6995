"""Recognize Temporal histories by their first bytes. The readers, which need the SDK, load with the first match."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from replaytool.formats.base import HEAD_SIZE
from replaytool.formats.temporal.proto_heads import looks_like_history
from replaytool.model.history import Run, RunHints

_LOOKS_LIKE = re.compile(rb'\\?"(event_?[iI]d|event_?[tT]ype|events|[a-z]+(EventAttributes|_event_attributes))\\?"')


class TemporalJson:
    """Any JSON that holds Temporal histories."""

    name = "temporal-json"
    engine = "temporal"
    about = "JSON from the CLI, the UI, an SDK, tctl, the HTTP API or an archive; wrapped, listed, nested or by line"

    def matches_head(self, head: bytes) -> bool:
        """Return whether this is JSON that names events early on."""
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n,\x1e")
        if text[:1] not in (b"{", b"[", b'"'):
            return False
        # The wrapper around a history can be longer than the head.
        return len(head) >= HEAD_SIZE or _LOOKS_LIKE.search(text) is not None

    def read_runs(self, stream: BinaryIO, hints: RunHints) -> Iterator[Run]:
        """Yield each run as soon as it is complete."""
        from replaytool.formats.temporal.json_files import read_json_runs

        return read_json_runs(stream, hints)


class TemporalProto:
    """Binary histories."""

    name = "temporal-proto"
    engine = "temporal"
    about = "binary temporal.api.history.v1.History, or Temporal Cloud's export of WorkflowExecutions"

    def matches_head(self, head: bytes) -> bool:
        """Return whether the first field holds event 1, or a history that begins with it."""
        return looks_like_history(head)

    def read_runs(self, stream: BinaryIO, hints: RunHints) -> Iterator[Run]:
        """Yield one run, or one for each item of an export."""
        from replaytool.formats.temporal.proto_files import read_proto_runs

        return read_proto_runs(stream, hints)


TEMPORAL_JSON = TemporalJson()
TEMPORAL_PROTO = TemporalProto()
