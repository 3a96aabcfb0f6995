"""JSON values out of a byte stream of any size: one, several one after the other, or the elements of one long list.

What fits in one piece is parsed in one piece. A longer stream is cut at the ends of its values by counting brackets,
so that memory stays flat however many histories a file holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from replaytool.formats.base import Unreadable

PIECE = 16 * 1024 * 1024
LONGEST_VALUE = 256 * 1024 * 1024

_BETWEEN = re.compile(rb"[\s,\x1e]*+")  # commas between values are wrong, common and harmless
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"(?:[^"\\]|\\.)*+"[^"{}\[\]]*+)*+([{}\[\]])', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\[\]{}\"]++(?=[\s,\[\]{}\"])")
_LIST_OF_EVENTS = re.compile(rb'\s*\{\s*"events"\s*:\s*(?=\[)')
_EVENT = re.compile(rb'\{\s*"event_?[iI]d"')
_NEXT_EVENT = re.compile(rb'\}\s*,\s*(?=\{\s*"event_?[iI]d")')


def parse(text: bytes) -> Any:
    """One JSON value, also where it holds NaN or half a surrogate pair, which strict parsers refuse."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


def encode(value: Any) -> bytes:
    """One value as compact JSON."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError, TypeError):
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def values(stream: BinaryIO) -> Iterator[Any]:
    """The values of the stream; a list at the top gives its elements, and so does a long list of events."""
    window = _Window(stream)
    if window.whole:
        yield from _parsed_whole(window)
    else:
        yield from _cut(window)


def _parsed_whole(window: _Window) -> Iterator[Any]:
    try:
        value = parse(bytes(window.text))
    except (ValueError, RecursionError):
        yield from _cut(window)
    else:
        yield from value if isinstance(value, list) else [value]


class _Window:
    """The part of the stream that is in memory, with the place in the whole stream where it begins."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.text = bytearray(stream.read(PIECE))
        self.whole = len(self.text) < PIECE
        self.start = 0
        self.at = 0
        if self.text.startswith(b"\xef\xbb\xbf"):
            self.at = 3

    def more(self) -> bool:
        """Read on; False at the end. Each piece is as long as what is held, so that no text is scanned often."""
        del self.text[: self.at]
        self.start += self.at
        self.at = 0
        if len(self.text) > LONGEST_VALUE:
            raise Unreadable(
                f"one JSON value of more than {LONGEST_VALUE // 1024**2} MB: too long for a history",
                "split the file into one history per file",
                self.position(),
            )
        piece = b"" if self.whole else self.stream.read(max(PIECE, len(self.text)))
        self.whole = not piece
        self.text += piece
        return bool(piece)

    def look_ahead(self) -> None:
        """Hold a piece at least of what comes: a value that does not end in it is long indeed."""
        if len(self.text) - self.at < PIECE:
            self.more()

    def skip(self, pattern: re.Pattern[bytes]) -> bool:
        """Step over what the pattern matches here."""
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
        return match is not None

    def next_byte(self) -> bytes:
        """The first byte of what comes next, after blanks and commas; b"" at the end."""
        while True:
            self.skip(_BETWEEN)
            if self.at < len(self.text):
                return bytes(self.text[self.at : self.at + 1])
            if not self.more():
                return b""

    def take(self, end: int) -> bytes:
        """The text up to `end`; the window goes on behind it."""
        taken = bytes(memoryview(self.text)[self.at : end])
        self.at = end
        return taken

    def position(self, offset: int = 0) -> str:
        """Where in the stream we are, for a person."""
        return f"byte {self.start + self.at + offset}"


def _cut(window: _Window) -> Iterator[Any]:
    found = False
    while first := window.next_byte():
        window.look_ahead()
        if first == b"[":
            yield from _elements(window)
        elif (line := _line(window)) is not None:
            yield line
        elif (end := _end_of_value(window)) is not None:
            yield _decoded(window, window.take(end))
        elif window.skip(_LIST_OF_EVENTS):
            yield from _elements(window)
            _close(window, b"}")
        else:
            yield _decoded(window, _next_value(window))
        found = True
    if not found:
        raise Unreadable("the file is empty", "export the history again", "byte 0")


def _line(window: _Window) -> Any:
    """The value on this line, or None where a value takes several lines: far cheaper than counting brackets."""
    end = window.text.find(b"\n", window.at)
    if end < 0:
        return None
    try:
        value = parse(bytes(memoryview(window.text)[window.at : end]))
    except (ValueError, RecursionError):
        return None
    window.at = end + 1
    return value


def _elements(window: _Window) -> Iterator[Any]:
    window.at += 1
    while (first := window.next_byte()) != b"]":
        if not first:
            raise Unreadable(
                "the JSON ends in the middle of a list", "export the history again", window.position()
            )
        events = _many_events(window) if _EVENT.match(window.text, window.at) else []
        yield from events or [_decoded(window, _next_value(window))]
    window.at += 1


def _many_events(window: _Window) -> list[Any]:
    """All the events up to the last place where one plainly ends and the next begins, parsed in one go.

    `"eventId"` behind `},{` can stand in valid JSON only where one object ends and another starts; if that was at
    another depth, the text in between is no list, and its events are taken one by one.
    """
    ends = [
        match.end() for match in _NEXT_EVENT.finditer(window.text, max(window.at, len(window.text) - 65536))
    ]
    if not ends:
        return []
    text = bytes(memoryview(window.text)[window.at : ends[-1]]).rstrip().removesuffix(b",")
    try:
        events: list[Any] = parse(b"[" + text + b"]")
    except (ValueError, RecursionError):
        return []
    window.at = ends[-1]
    return events


def _close(window: _Window, bracket: bytes) -> None:
    if window.next_byte() != bracket:
        raise Unreadable(
            "text behind the list of events that is not understood",
            'keep only {"events": […]} in the file',
            window.position(),
        )
    window.at += 1


def _next_value(window: _Window) -> bytes:
    while (end := _end_of_value(window)) is None:
        if not window.more():
            raise Unreadable(
                "the JSON ends in the middle of a value: the file is cut off",
                "export the history again",
                window.position(len(window.text)),
            )
    return window.take(end)


def _end_of_value(window: _Window) -> int | None:
    text, at = window.text, window.at
    first = text[at : at + 1]
    if first == b'"':
        match = _STRING.match(text, at)
    elif first not in (b"{", b"["):
        match = _SCALAR.match(text, at)
        if match is None and window.whole:
            return len(text)
    else:
        return _end_of_brackets(text, at)
    return match.end() if match else None


def _end_of_brackets(text: bytearray, at: int) -> int | None:
    depth = 0
    to_bracket = _TO_BRACKET.match
    while match := to_bracket(text, at):
        at = match.end()
        depth += 1 if text[at - 1] in b"{[" else -1
        if depth <= 0:
            return at
    return None


def _decoded(window: _Window, text: bytes) -> Any:
    try:
        return parse(text)
    except RecursionError:
        raise Unreadable(
            "JSON nested too deeply", "this is not a history", window.position(-len(text))
        ) from None
    except ValueError as error:
        offset = getattr(error, "pos", 0) - len(text)
        reason = getattr(error, "msg", str(error))
        raise Unreadable(
            f"not valid JSON: {reason}", "export the history again", window.position(offset)
        ) from None
