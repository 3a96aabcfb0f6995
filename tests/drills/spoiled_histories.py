"""Histories spoiled at random, always in the same way for the same number."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from replaytool.formats.temporal.export import export_binary
from tests.formats.sample_histories import NORM, events
from tests.support.paths import FIXTURES

_ODD: tuple[object, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, -(2**64), 10**30, 1.5, 1e308, float("nan"), float("inf")),
    *("", "x", "1", "99999999999999999999", "\ud83d", "\x00", "\u202e\x1b[31m", "=" * 7, "A" * 100_000, "NaN"),
    *([], [[]], [None], {}, {"events": []}, {"eventId": "1"}, {"": {"": {}}}),
)


def samples() -> list[bytes]:
    """Something of every shape, real and made."""
    texts = [path.read_bytes() for path in sorted(FIXTURES.glob("*/history*.json"))[::7]]
    texts = [text for text in texts if len(text) < 60_000]
    shapes: list[Any] = [
        {"events": events()},
        {"workflowId": "w", "history": {"events": events()}, "nextPageToken": "x"},
        events()[::-1],
        [{"events": events()[:4]}, {"events": events()[4:]}],
        {"a": [{"events": events()}], "b": [{"events": events()}]},
    ]
    texts += [json.dumps(shape).encode() for shape in shapes]
    texts += [json.dumps(json.dumps(shapes[0])).encode(), b"\n".join(json.dumps(one).encode() for one in events())]
    binary = export_binary(NORM.events)
    size = len(binary)
    history = b"\x0a" + bytes([size & 0x7F | 0x80, size >> 7]) + binary
    size = len(history)
    export = b"\x0a" + bytes([size & 0x7F | 0x80, size >> 7]) + history
    return [*texts, binary, binary, export * 2, export]


def mutated(number: int, texts: list[bytes]) -> bytes:
    """One spoiled history."""
    source = random.Random(number)
    text = source.choice(texts)
    is_json = text[:1] != b"\x0a"
    for _ in range(source.choice((1, 1, 2, 5))):
        change = source.choice(_ANY + _JSON if is_json else _ANY)
        text = change(text, source)
    return text


def _flipped(text: bytes, source: random.Random) -> bytes:
    changed = bytearray(text or b"x")
    for _ in range(source.choice((1, 3, 20))):
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def _truncated(text: bytes, source: random.Random) -> bytes:
    return text[: source.randrange(len(text) + 1)]


def _span(text: bytes, source: random.Random) -> tuple[int, int]:
    start = source.randrange(len(text) + 1)
    return start, min(len(text), start + source.choice((1, 2, 10, 100, 2000)))


def _deleted(text: bytes, source: random.Random) -> bytes:
    start, end = _span(text, source)
    return text[:start] + text[end:]


def _doubled(text: bytes, source: random.Random) -> bytes:
    start, end = _span(text, source)
    return text[:end] + text[start:end] * source.choice((1, 1, 3, 50)) + text[end:]


def _swapped(text: bytes, source: random.Random) -> bytes:
    start, end = _span(text, source)
    later, last = _span(text[end:], source)
    return (
        text[:start] + text[end + later : end + last] + text[end : end + later] + text[start:end] + text[end + last :]
    )


def _inserted(text: bytes, source: random.Random) -> bytes:
    at = source.randrange(len(text) + 1)
    odd = (
        b"\xff",
        b"\xed\xa0\x80",
        b"\0",
        b"\\ud800",
        b"[" * 3000,
        b'{"a":' * 3000,
        b"9" * 5000,
        b"\x1e",
        b"NaN",
        b'"',
    )
    return text[:at] + source.choice(odd) + text[at:]


def _number(text: bytes, source: random.Random) -> bytes:
    digits = [at for at, byte in enumerate(text) if 48 <= byte <= 57]
    at = source.choice(digits or [0])
    return text[:at] + source.choice((b"-", b"1e400", b"0" * 30, b"9" * 400, b"0x", b"NaN", b"-0")) + text[at + 1 :]


def _restructured(text: bytes, source: random.Random) -> bytes:
    """One value becomes one of another kind, wherever it is."""
    try:
        value = json.loads(text)
        for _ in range(source.choice((1, 2, 8))):
            holders = list(_holders(value))
            if not holders:
                break
            _replace(source.choice(holders), source)
        return json.dumps(value).encode()
    except (ValueError, RecursionError):
        return text


def _replace(holder: Any, source: random.Random) -> None:
    key: Any = source.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    deed = source.randrange(5)
    if deed == 0:
        del holder[key]
    elif deed == 1 and isinstance(holder, dict):
        names = ("events", "eventId", "eventType", "attributes", "payloads", "@proto", key + "X")
        holder[source.choice(names)] = holder[key]
    elif deed == 2:
        holder[key] = [holder[key], holder[key]]
    elif deed == 3:
        holder[key] = {"nested": holder[key]}
    else:
        holder[key] = source.choice(_ODD)


def _holders(value: Any) -> Any:
    if isinstance(value, dict | list) and value:
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _holders(item)


def _repeated_key(text: bytes, source: random.Random) -> bytes:
    key = source.choice((b"eventId", b"eventType", b"events", b"eventTime", b"name"))
    at = text.find(b"{", source.randrange(len(text) + 1))
    extra = b'"' + key + b'": ' + source.choice((b"1", b'"2"', b"{}", b"[]", b"null")) + b","
    return text[: at + 1] + extra + text[at + 1 :]


_Change = Callable[[bytes, random.Random], bytes]
_ANY: tuple[_Change, ...] = (_flipped, _truncated, _deleted, _doubled, _swapped, _inserted)
_JSON: tuple[_Change, ...] = (_number, _restructured, _restructured, _restructured, _restructured, _repeated_key)
