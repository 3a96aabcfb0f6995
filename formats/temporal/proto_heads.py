"""The first bytes of protobuf histories. There are no magic bytes, so the first event must be valid."""

from __future__ import annotations

FIELD_ONE = b"\x0a"  # a History and an export have only field 1, length-delimited


def looks_like_history(head: bytes) -> bool:
    """Return whether the first field holds event 1, or a history that begins with it."""
    return head[:1] == FIELD_ONE and (_begins_history(head) or _begins_history(_first_field(_first_field(head))))


def _begins_history(head: bytes) -> bool:
    if head[:1] != FIELD_ONE:
        return False
    size, start = _read_varint(head, 1)
    return (
        is_first_event(head[start : start + size])
        if start + size <= len(head)
        else head[start : start + 2] == b"\x08\x01"
    )


def is_first_event(data: bytes) -> bool:
    """Return whether this is event 1: field 1 is the event ID, then comes the time or the type."""
    return data[:3] in (b"\x08\x01\x12", b"\x08\x01\x18")


def _first_field(message: bytes) -> bytes:
    """Return the bytes of the first field, as far as they are there."""
    size, start = _read_varint(message, 1)
    return message[start : start + size]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    size = 0
    for index, byte in enumerate(data[at : at + 10]):
        size |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return size, at + index + 1
    return 0, len(data)
