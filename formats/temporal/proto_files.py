"""Read Temporal histories from protobuf: a `History`, or the export of Temporal Cloud. Both parsers are tried."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from temporalio.api.export.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent

from replaytool.errors import ErrorCode
from replaytool.formats.base import Unreadable
from replaytool.formats.temporal.canonical_events import HistoryBuilder
from replaytool.formats.temporal.proto_heads import FIELD_ONE, is_first_event
from replaytool.formats.temporal.run_summary import build_run
from replaytool.model.history import Problem, Run, RunHints

UNKNOWN = "@proto"
"""An event with fields that the SDK does not know keeps all its bytes under this key."""
FORMAT_NAME = "temporal-proto"
_LONGEST_ITEM = 128 * 1024 * 1024


def read_proto_runs(stream: BinaryIO, hints: RunHints) -> Iterator[Run]:
    """Yield one run, or one for each item of an export."""
    items = _iterate_items(stream)
    first = next(items, None)
    if first is None:
        raise Unreadable("the file is empty", "export the history again", "byte 0", code=ErrorCode.FORMAT_EMPTY)
    if is_first_event(first[1]):
        yield _build_proto_run(chain([first], items), hints)
        return
    yield _build_proto_run(_read_execution_events(first), hints)
    for item in items:
        yield _build_proto_run(_read_execution_events(item), hints)


def _iterate_items(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the values of field 1, each with its offset."""
    at = 0
    while tag := stream.read(1):
        if tag != FIELD_ONE:
            raise Unreadable(
                f"byte {tag.hex()} instead of the start of an event",
                "export the history again",
                f"byte {at}",
                code=ErrorCode.FORMAT_INVALID_PROTO,
            )
        size, width = _read_length(stream, at)
        # A damaged length can claim gigabytes, which must not be allocated.
        data = stream.read(size) if size <= _LONGEST_ITEM else b""
        if len(data) < size:
            raise Unreadable(
                "the file is cut off in the middle of an event",
                "export it again",
                f"byte {at}",
                code=ErrorCode.FORMAT_CUT_OFF,
            )
        yield at, data
        at += 1 + width + size


def _read_length(stream: BinaryIO, at: int) -> tuple[int, int]:
    size = 0
    for width in range(10):
        byte = stream.read(1)
        if not byte:
            break
        size |= (byte[0] & 0x7F) << (7 * width)
        if byte[0] < 0x80:
            return size, width + 1
    raise Unreadable(
        "the file is cut off in the middle of an event", "export it again", f"byte {at}", code=ErrorCode.FORMAT_CUT_OFF
    )


def _read_execution_events(item: tuple[int, bytes]) -> list[tuple[int, bytes]]:
    """Return the events of one exported execution."""
    at, data = item
    try:
        history = WorkflowExecution.FromString(data).history
    except DecodeError:
        raise Unreadable(
            "an item of the export has no history", "export it again", f"byte {at}", code=ErrorCode.FORMAT_NO_HISTORY
        ) from None
    return [(at, event.SerializeToString()) for event in history.events]


def _build_proto_run(events: Iterable[tuple[int, bytes]], hints: RunHints) -> Run:
    gathered = HistoryBuilder()
    for at, data in events:
        try:
            event = HistoryEvent.FromString(data)
        except DecodeError:
            raise Unreadable(
                "bytes that are not an event",
                "export the history again",
                f"byte {at}",
                code=ErrorCode.FORMAT_INVALID_PROTO,
            ) from None
        gathered.add_event(_event_to_json(event, data, gathered))
    if not gathered.events or gathered.events[0].event_id != 1:
        raise Unreadable("a fragment, not a history", "a history begins with event 1", code=ErrorCode.FORMAT_FRAGMENT)
    return build_run(gathered, FORMAT_NAME, RunHints(), hints)


def _event_to_json(event: HistoryEvent, data: bytes, gathered: HistoryBuilder) -> dict[str, object]:
    known = HistoryEvent()
    known.CopyFrom(event)
    known.DiscardUnknownFields()
    result = _sort_maps(MessageToDict(event))
    # protobuf keeps unknown fields without a word: only the size tells that there are some.
    if known.ByteSize() != event.ByteSize():
        result[UNKNOWN] = base64.b64encode(data).decode()
        gathered.add_problem(
            Problem("unknown-field", "the installed SDK does not know some of its fields", event.event_id)
        )
    return result


def _sort_maps(event: dict[str, object]) -> dict[str, object]:
    """Sort the keys of maps.

    Protobuf orders them differently in each process, and a run must be the same for every reader.
    """
    ordered: dict[str, object] = msgspec.json.decode(msgspec.json.encode(event, order="sorted"))
    return ordered
