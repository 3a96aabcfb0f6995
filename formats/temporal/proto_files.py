"""Temporal histories as protobuf: a `History`, or Temporal Cloud's export of many, told apart by trying both."""

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

from replaytool.formats.base import Unreadable
from replaytool.formats.temporal.canonical_events import EventList
from replaytool.formats.temporal.run_summary import build_run
from replaytool.model.history import Hints, Problem, Run

UNKNOWN = "@proto"
"""The key under which an event that holds fields unknown to the SDK keeps all its bytes."""
_FIELD_ONE = b"\x0a"  # both messages hold nothing but their first field, length-delimited
_LONGEST_ITEM = 128 * 1024 * 1024


class TemporalProto:
    """Binary histories; there are no magic bytes, so the first event has to make sense."""

    name = "temporal-proto"
    engine = "temporal"
    about = "binary temporal.api.history.v1.History, or Temporal Cloud's export of WorkflowExecutions"

    def sniff(self, head: bytes) -> bool:
        """A first field that holds event 1, or a history that begins with it."""
        return head[:1] == _FIELD_ONE and (_begins_history(head) or _begins_history(_inside(_inside(head))))

    def read(self, stream: BinaryIO, hints: Hints) -> Iterator[Run]:
        """The runs: one, or one for each item of an export."""
        items = _items(stream)
        first = next(items, None)
        if first is None:
            raise Unreadable("the file is empty", "export the history again", "byte 0")
        if _is_first_event(first[1]):
            yield _run_of(chain([first], items), hints)
            return
        yield _run_of(_events_of(first), hints)
        for item in items:
            yield _run_of(_events_of(item), hints)


def _items(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The values of field 1, each with the place where it begins."""
    at = 0
    while tag := stream.read(1):
        if tag != _FIELD_ONE:
            raise Unreadable(f"byte {tag.hex()} where an event should begin", "export the history again", f"byte {at}")
        size, width = _length(stream, at)
        data = stream.read(size) if size <= _LONGEST_ITEM else b""
        if len(data) < size:
            raise Unreadable("the file ends in the middle of an event: it is cut off", "export it again", f"byte {at}")
        yield at, data
        at += 1 + width + size


def _length(stream: BinaryIO, at: int) -> tuple[int, int]:
    size = 0
    for width in range(10):
        byte = stream.read(1)
        if not byte:
            break
        size |= (byte[0] & 0x7F) << (7 * width)
        if byte[0] < 0x80:
            return size, width + 1
    raise Unreadable("the file ends in the middle of an event: it is cut off", "export it again", f"byte {at}")


def _events_of(item: tuple[int, bytes]) -> list[tuple[int, bytes]]:
    """The events of one exported execution."""
    at, data = item
    try:
        history = WorkflowExecution.FromString(data).history
    except DecodeError:
        raise Unreadable("an item of the export holds no history", "export it again", f"byte {at}") from None
    return [(at, event.SerializeToString()) for event in history.events]


def _run_of(events: Iterable[tuple[int, bytes]], hints: Hints) -> Run:
    gathered = EventList()
    for at, data in events:
        try:
            event = HistoryEvent.FromString(data)
        except DecodeError:
            raise Unreadable("bytes that are no event", "export the history again", f"byte {at}") from None
        gathered.add(_as_json(event, data, gathered))
    if not gathered.events or gathered.events[0].event_id != 1:
        raise Unreadable("a fragment, not a history", "a history begins with event 1")
    return build_run(gathered, TemporalProto.name, Hints(), hints)


def _as_json(event: HistoryEvent, data: bytes, gathered: EventList) -> dict[str, object]:
    known = HistoryEvent()
    known.CopyFrom(event)
    known.DiscardUnknownFields()
    result = _in_order(MessageToDict(event))
    if known.ByteSize() != event.ByteSize():
        result[UNKNOWN] = base64.b64encode(data).decode()
        gathered.note(Problem("unknown-field", "fields that the installed SDK does not know", event.event_id))
    return result


def _in_order(event: dict[str, object]) -> dict[str, object]:
    """Protobuf hands out maps in another order in each process; a run must be the same whoever reads it."""
    ordered: dict[str, object] = msgspec.json.decode(msgspec.json.encode(event, order="sorted"))
    return ordered


def _begins_history(head: bytes) -> bool:
    if head[:1] != _FIELD_ONE:
        return False
    size, start = _varint_at(head, 1)
    return (
        _is_first_event(head[start : start + size])
        if start + size <= len(head)
        else head[start : start + 2] == b"\x08\x01"
    )


def _is_first_event(data: bytes) -> bool:
    """Event ids are field 1 of an event, and a history begins with event 1 and its time, or its type."""
    return data[:3] in (b"\x08\x01\x12", b"\x08\x01\x18")


def _inside(message: bytes) -> bytes:
    """The bytes of the first field, as far as they are there."""
    size, start = _varint_at(message, 1)
    return message[start : start + size]


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    size = 0
    for index, byte in enumerate(data[at : at + 10]):
        size |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return size, at + index + 1
    return 0, len(data)
