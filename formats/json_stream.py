"""Split a byte stream of any size into JSON values: one value, several, or the elements of one long list.

Each value is returned as complete JSON text; `open_value` parses one level of it. So an event is parsed once, into
its own struct, and wrappers around events are never built as objects. A long stream is cut between values, so that
memory stays flat however many histories it holds.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from replaytool.errors import ErrorCode
from replaytool.formats.base import Unreadable
from replaytool.formats.broken_json import find_json_fault

PIECE = 8 * 1024 * 1024
FIRST_PIECE = 1024 * 1024
LONGEST_VALUE = 128 * 1024 * 1024

# Possessive (`*+`): nothing is given back, so that malformed text costs no quadratic time. \x1e separates the values
# of a JSON text sequence (RFC 7464).
_BETWEEN = re.compile(rb"[\s,\x1e]*+")  # commas between values are invalid but common
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"(?:[^"\\]|\\.)*+"[^"{}\[\]]*+)*+([{}\[\]])', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\[\]{}\"]++(?=[\s,\[\]{}\"])")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LIST_OF_EVENTS = re.compile(rb'\{\s*+"events"\s*+:\s*+\[')
_EVENT = re.compile(rb'\{\s*+"event_?[iI]d"')
_NEXT_EVENT = re.compile(rb'\}\s*+,\s*+(?=\{\s*+"event_?[iI]d")')
_MALFORMED = -1
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")

_text_of = msgspec.json.Decoder(msgspec.Raw)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_OPENERS: dict[bytes, msgspec.json.Decoder[Any]] = {
    b"{": _members,
    b"[": _elements,
}


class NotUtf8(Unreadable):
    """A value with text that is not UTF-8. `Utf8Watch` knows where it is in the stream."""

    def __init__(self, position: str = "") -> None:
        super().__init__(
            "not valid JSON: the text is not UTF-8",
            "export the history again",
            position,
            code=ErrorCode.FORMAT_INVALID_JSON,
        )


class Utf8Watch:
    """A stream that remembers where its bytes stop being UTF-8: values are decoded apart from their place."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._read = 0
        self.position = ""

    def read(self, size: int = -1) -> bytes:
        """Read and check the next bytes."""
        piece = self._stream.read(size)
        self.check_piece(piece)
        return piece

    def check_piece(self, piece: bytes) -> None:
        """Check bytes that were read already."""
        if not self.position:
            pending = len(self._decoder.getstate()[0])
            try:
                self._decoder.decode(piece)
            except UnicodeDecodeError as error:
                self.position = f"byte {self._read - pending + error.start}"
        self._read += len(piece)


@dataclass(frozen=True, slots=True)
class ListSlice:
    """A part of a list, as the text of a list, so that a reader can decode many elements in one call."""

    text: msgspec.Raw


@dataclass(frozen=True, slots=True)
class RemainingMembers:
    """The members of an object after its list of events, where the list was too long to hold."""

    members: dict[str, object]


def parse_value(text: bytes | msgspec.Raw) -> object:
    """Parse one JSON value, also with NaN or half a surrogate pair, which strict parsers refuse."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(bytes(text))


def encode_value(value: object) -> bytes:
    """Encode one value as compact JSON."""
    try:
        return msgspec.json.encode(value)
    # Half a surrogate pair, or an integer beyond 64 bits.
    except (UnicodeEncodeError, OverflowError, TypeError):
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def repair_text(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON in UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def repair_object(value: dict[str, object]) -> dict[str, object]:
    """Replace what JSON cannot hold, so that every other JSON parser can read the object."""
    return {repair_text(key): _repair_value(item) for key, item in value.items()}


def _repair_value(value: object) -> object:
    if isinstance(value, dict):
        return repair_object(value)
    if isinstance(value, list):
        return [_repair_value(item) for item in value]
    if isinstance(value, str):
        return repair_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"  # as protobuf spells them
    return value


def open_value(value: object) -> object:
    """Parse one level: the members or elements stay text. A value that is not text is returned as it is."""
    if not isinstance(value, msgspec.Raw):
        return value
    opener = _OPENERS.get(bytes(memoryview(value)[:1]))
    try:
        return opener.decode(value) if opener else parse_value(value)
    except (ValueError, RecursionError):
        return read_whole_value(value)


def open_list(text: msgspec.Raw) -> list[object]:
    """Parse one level of a list."""
    elements = open_value(text)
    return elements if isinstance(elements, list) else []


def read_whole_value(value: object) -> object:
    """Parse a value completely."""
    if not isinstance(value, msgspec.Raw):
        return value
    try:
        return parse_value(value)
    except RecursionError:
        raise Unreadable("JSON nested too deeply", "this is not a history", code=ErrorCode.FORMAT_TOO_LARGE) from None
    except UnicodeDecodeError:
        raise NotUtf8 from None
    except ValueError as error:
        raise Unreadable(
            f"not valid JSON: {getattr(error, 'msg', error)}",
            "export the history again",
            code=ErrorCode.FORMAT_INVALID_JSON,
        ) from None


def iterate_values(stream: BinaryIO, begin: bytes | None = None) -> Iterator[object]:
    """Yield the values of the stream.

    A list longer than a piece yields its elements, and so does a long list of events.

    `begin` is the first piece, if the caller has read it.
    """
    begin = stream.read(FIRST_PIECE) if begin is None else begin
    if len(begin) < FIRST_PIECE:
        try:
            yield _text_of.decode(begin)
        except (msgspec.DecodeError, RecursionError):
            pass  # more than one value, or one that needs the lenient parser
        else:
            return
    window = _Window(stream, begin)
    found = False
    while first := window.next_byte():
        found = True
        if (end := _find_value_end(window)) is not None:
            yield _take_value(window, end)
        elif len(window.text) - window.at < PIECE and window.read_more():
            continue
        elif first == b"[":
            window.at += 1
            yield from _iterate_long_list(window)
        elif window.skip_match(_LIST_OF_EVENTS):
            yield from _iterate_long_list(window)
            yield _read_remaining_members(window)
        else:
            yield _take_next_value(window)
    if not found:
        raise Unreadable("the file is empty", "export the history again", "byte 0", code=ErrorCode.FORMAT_EMPTY)


class _Window:
    """The part of the stream in memory, and its offset in the stream."""

    def __init__(self, stream: BinaryIO, begin: bytes) -> None:
        self.stream = stream
        self.text = bytearray(begin)
        self.whole = len(self.text) < FIRST_PIECE
        self.start = 0
        # A byte order mark in UTF-8, as Windows programs write it.
        self.at = 3 if self.text.startswith(b"\xef\xbb\xbf") else 0
        self.singly_until = 0
        """Up to this offset in the stream, taking many events in one call has failed."""
        self.strict_until = 0
        """The value that ends at this offset in the stream was accepted by a strict parser."""

    def read_more(self) -> bool:
        """Read the next piece. Return False at the end.

        Each piece is as long as the text in memory, so that the total cost of scanning stays linear.
        """
        del self.text[: self.at]
        self.start += self.at
        self.at = 0
        if len(self.text) > LONGEST_VALUE:
            raise Unreadable(
                f"a JSON value of more than {LONGEST_VALUE // 1024**2} MB: too long for a history",
                "split the file into one history per file",
                self.describe_position(),
                code=ErrorCode.FORMAT_TOO_LARGE,
            )
        piece = b"" if self.whole else self.stream.read(max(PIECE, len(self.text)))
        self.whole = not piece
        self.text += piece
        return bool(piece)

    def skip_match(self, pattern: re.Pattern[bytes]) -> bool:
        """Skip what the pattern matches here."""
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
        return match is not None

    def next_byte(self) -> bytes:
        """Return the next byte after blanks and commas, or b"" at the end."""
        while True:
            self.skip_match(_BETWEEN)
            if self.at < len(self.text):
                return bytes(self.text[self.at : self.at + 1])
            if not self.read_more():
                return b""

    def take_text(self, end: int) -> bytes:
        """Return the text up to `end`, and move there."""
        taken = bytes(memoryview(self.text)[self.at : end])
        self.at = end
        return taken

    def describe_position(self, offset: int = 0) -> str:
        """Return the position in the stream, for a message."""
        return f"byte {self.start + self.at + offset}"


def _iterate_long_list(window: _Window) -> Iterator[object]:
    while (first := window.next_byte()) != b"]":
        if not first:
            raise Unreadable(
                "the JSON ends in the middle of a list",
                "export the history again",
                window.describe_position(),
                code=ErrorCode.FORMAT_CUT_OFF,
            )
        yield _take_event_slice(window) or _take_next_value(window)
    window.at += 1


def _take_event_slice(window: _Window) -> ListSlice | None:
    """Return all complete events in memory, up to the end of their list.

    In valid JSON, `"eventId"` after `},{` can only stand between two objects. If these are at another depth, the text
    is not a list, and its events are taken one by one.
    """
    if window.start + window.at < window.singly_until or not _EVENT.match(window.text, window.at):
        return None
    rest = b"[" + memoryview(window.text)[window.at :]
    end = _find_text_end(rest)
    if end is not None and end > 0:
        text = rest[:end].rstrip()
        stop = window.at + len(text) - 2
    else:
        # Only in the last 64 KB: the last boundary is all that is needed.
        ends = [match.end() for match in _NEXT_EVENT.finditer(window.text, max(window.at, len(window.text) - 65536))]
        stop = ends[-1] if ends else window.at
        text = rest[: stop - window.at + 1].rstrip().removesuffix(b",") + b"]"
    if _find_text_end(text) != len(text) or stop == window.at:
        window.singly_until = window.start + len(window.text)
        return None
    window.at = stop
    return ListSlice(msgspec.Raw(text))


def _read_remaining_members(window: _Window) -> RemainingMembers:
    """Return the members after a long list of events, up to the end of their object."""
    if window.next_byte() == b"}":
        window.at += 1
        return RemainingMembers({})
    # The text goes on inside an object. With a brace before it, the rest is an object of its own.
    window.text[window.at : window.at] = b"{"
    members = open_value(_take_next_value(window))
    if not isinstance(members, dict):
        raise Unreadable(
            "invalid text after the list of events",
            "export it again",
            window.describe_position(),
            code=ErrorCode.FORMAT_INVALID_JSON,
        )
    return RemainingMembers(members)


def _take_next_value(window: _Window) -> object:
    while (end := _find_value_end(window)) is None:
        if not window.read_more():
            # A quote that is missing or one too many also lets a value end nowhere: then the fault is before the end.
            raise find_json_fault(
                bytes(window.text[window.at :]), is_whole=True, offset=window.start + window.at
            ) or Unreadable(
                "the JSON ends in the middle of a value: the file is cut off",
                "export the history again",
                window.describe_position(len(window.text) - window.at),
                code=ErrorCode.FORMAT_CUT_OFF,
            )
    return _take_value(window, end)


def _find_value_end(window: _Window) -> int | None:
    """Return where the value ends that begins here, or None if it ends after the text in memory."""
    end = _find_text_end(memoryview(window.text)[window.at :])
    if end is None:
        # The fast parser reports half a surrogate pair as truncated text.
        odd = window.whole or _SURROGATE.search(window.text, window.at)
        return _count_to_end(window) if odd else None
    if end == _MALFORMED:
        return _count_to_end(window)
    is_certain = end + window.at < len(window.text) or window.whole or _ends_with_bracket(window.text)
    window.strict_until = window.start + window.at + end
    return window.at + end if is_certain else None


def _ends_with_bracket(text: bytearray) -> bool:
    # The digits of a number at the end of the window may go on in the next piece.
    return bytes(text[-1:]) in (b"}", b"]", b'"')


def _find_text_end(text: bytes | memoryview) -> int | None:
    """Return where the first value ends: None if the text is too short, _MALFORMED if a strict parser refuses it.

    A parser in C finds the end much faster than Python: its error tells where the next value begins.
    """
    try:
        _text_of.decode(text)
    except msgspec.DecodeError as error:
        trailing = _TRAILING.search(str(error))
        if trailing:
            return int(trailing[1]) - 1  # the reported position is the byte after the value, counted from 1
        return None if "truncated" in str(error) else _MALFORMED
    except RecursionError:
        return _MALFORMED
    return len(text)


def _count_to_end(window: _Window) -> int | None:
    """Find the end of a value that only a lenient parser reads: NaN, half a surrogate pair, malformed text."""
    text, at = window.text, window.at
    first = bytes(text[at : at + 1])
    if first in (b"{", b"["):
        return _find_bracket_end(text, at)
    match = (_STRING if first == b'"' else _SCALAR).match(text, at)
    if match is None and first != b'"' and window.whole:
        return len(text)
    return match.end() if match else None


def _find_bracket_end(text: bytearray, at: int) -> int | None:
    depth = 0
    to_bracket = _TO_BRACKET.match
    while match := to_bracket(text, at):
        at = match.end()
        depth += 1 if text[at - 1] in b"{[" else -1
        if depth <= 0:
            return at
    return None


def _take_value(window: _Window, end: int) -> object:
    """Return the value up to here, as text if a strict parser can read it."""
    text = window.take_text(end)
    # A strict parser has read it to find its end. A second time would double the cost.
    if window.strict_until == window.start + window.at:
        return msgspec.Raw(text)
    try:
        return _text_of.decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable(
            "JSON nested too deeply",
            "this is not a history",
            window.describe_position(-len(text)),
            code=ErrorCode.FORMAT_TOO_LARGE,
        ) from None
    except ValueError as error:
        position = window.describe_position(_count_bytes_before(text, error) - len(text))
        if isinstance(error, UnicodeDecodeError):
            raise NotUtf8(position) from None
        raise Unreadable(
            f"not valid JSON: {getattr(error, 'msg', str(error))}",
            "export the history again",
            position,
            code=ErrorCode.FORMAT_INVALID_JSON,
        ) from None


def _count_bytes_before(text: bytes, error: ValueError) -> int:
    """Return where the fault is. The parser counts characters, or the bytes before text that is not UTF-8."""
    if isinstance(error, UnicodeDecodeError):
        return error.start
    if isinstance(error, json.JSONDecodeError):
        return len(text.decode("utf-8", "surrogatepass")[: error.pos].encode("utf-8", "surrogatepass"))
    return 0
