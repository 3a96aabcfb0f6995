"""JSON values out of a byte stream of any size: one, several one after the other, or the elements of one long list.

Values are handed on as text that is known to be whole; `opened` looks one level into them. So an event is parsed
once, into its own type, and whatever stands around events is never built as objects. A stream that does not fit into
one piece is cut at the ends of its values, so that memory stays flat however many histories it holds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from replaytool.formats.base import Unreadable

PIECE = 8 * 1024 * 1024
FIRST_PIECE = 1024 * 1024
LONGEST_VALUE = 128 * 1024 * 1024

_BETWEEN = re.compile(rb"[\s,\x1e]*+")  # commas between values are wrong, common and harmless
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
_OPENERS: dict[bytes, msgspec.json.Decoder[Any]] = {b"{": _members, b"[": _elements}


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a list, as the text of a list: so that a reader can take many elements in one go."""

    text: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Rest:
    """What stands in an object behind its list of events, where the list was too long to wait for it."""

    members: dict[str, Any]


def parse(text: bytes | msgspec.Raw) -> Any:
    """One JSON value, also where it holds NaN or half a surrogate pair, which strict parsers refuse."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(bytes(text))


def encode(value: Any) -> bytes:
    """One value as compact JSON."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError, TypeError):
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def repaired(value: Any) -> Any:
    """The value without what JSON cannot hold, so that every other reader of JSON can read it too."""
    if isinstance(value, dict):
        return {repaired(key): repaired(item) for key, item in value.items()}
    if isinstance(value, list):
        return [repaired(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"  # as protobuf spells them
    return value


def opened(value: Any) -> Any:
    """A value with its members or elements, which are still text; a value that is no text is what it is."""
    if not isinstance(value, msgspec.Raw):
        return value
    opener = _OPENERS.get(bytes(memoryview(value)[:1]))
    try:
        return opener.decode(value) if opener else parse(value)
    except (ValueError, RecursionError):
        return whole(value)


def whole(value: Any) -> Any:
    """A value with everything that is in it."""
    if not isinstance(value, msgspec.Raw):
        return value
    try:
        return parse(value)
    except RecursionError:
        raise Unreadable("JSON nested too deeply", "this is not a history") from None
    except ValueError as error:
        raise Unreadable(f"not valid JSON: {getattr(error, 'msg', error)}", "export the history again") from None


def values(stream: BinaryIO, begin: bytes | None = None) -> Iterator[Any]:
    """The values of the stream; a list that is longer than a piece gives its elements, and so does one of events.

    `begin` is its first piece, where that has been read.
    """
    begin = stream.read(FIRST_PIECE) if begin is None else begin
    if len(begin) < FIRST_PIECE:
        try:
            yield _text_of.decode(begin)
        except (msgspec.DecodeError, RecursionError):
            pass  # more than one value, or an odd one
        else:
            return
    window = _Window(stream, begin)
    found = False
    while first := window.next_byte():
        found = True
        if (end := _end_of_value(window)) is not None:
            yield _taken(window, end)
        elif len(window.text) - window.at < PIECE and window.more():
            continue
        elif first == b"[":
            window.at += 1
            yield from _long_list(window)
        elif window.skip(_LIST_OF_EVENTS):
            yield from _long_list(window)
            yield _rest(window)
        else:
            yield _next_value(window)
    if not found:
        raise Unreadable("the file is empty", "export the history again", "byte 0")


class _Window:
    """The part of the stream that is in memory, with the place in the whole stream where it begins."""

    def __init__(self, stream: BinaryIO, begin: bytes) -> None:
        self.stream = stream
        self.text = bytearray(begin)
        self.whole = len(self.text) < FIRST_PIECE
        self.start = 0
        self.at = 3 if self.text.startswith(b"\xef\xbb\xbf") else 0
        self.singly_until = 0
        """Up to here in the stream, trying to take many events in one go has failed."""
        self.strict_until = 0
        """The value that ends here in the stream was read by a strict parser."""

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


def _long_list(window: _Window) -> Iterator[Any]:
    while (first := window.next_byte()) != b"]":
        if not first:
            raise Unreadable("the JSON ends in the middle of a list", "export the history again", window.position())
        yield _many_events(window) or _next_value(window)
    window.at += 1


def _many_events(window: _Window) -> Slice | None:
    """All the events up to the last place where one plainly ends and the next begins, or to the end of their list.

    `"eventId"` behind `},{` can stand in valid JSON only where one object ends and another starts; if that was at
    another depth, the text in between is no list, and its events are taken one by one.
    """
    if window.start + window.at < window.singly_until or not _EVENT.match(window.text, window.at):
        return None
    rest = b"[" + memoryview(window.text)[window.at :]
    end = _end_of_text(rest)
    if end is not None and end > 0:
        text = rest[:end].rstrip()
        stop = window.at + len(text) - 2
    else:
        ends = [match.end() for match in _NEXT_EVENT.finditer(window.text, max(window.at, len(window.text) - 65536))]
        stop = ends[-1] if ends else window.at
        text = rest[: stop - window.at + 1].rstrip().removesuffix(b",") + b"]"
    if _end_of_text(text) != len(text) or stop == window.at:
        window.singly_until = window.start + len(window.text)
        return None
    window.at = stop
    return Slice(msgspec.Raw(text))


def _rest(window: _Window) -> Rest:
    """The members behind a long list of events, up to the end of their object."""
    if window.next_byte() == b"}":
        window.at += 1
        return Rest({})
    window.text[window.at : window.at] = b"{"
    members = opened(_next_value(window))
    if not isinstance(members, dict):
        raise Unreadable("text behind the list of events that is not understood", "export it again", window.position())
    return Rest(members)


def _next_value(window: _Window) -> Any:
    while (end := _end_of_value(window)) is None:
        if not window.more():
            raise Unreadable(
                "the JSON ends in the middle of a value: the file is cut off",
                "export the history again",
                window.position(len(window.text) - window.at),
            )
    return _taken(window, end)


def _end_of_value(window: _Window) -> int | None:
    """Where the value ends that begins here, or None where that is not in the window."""
    end = _end_of_text(memoryview(window.text)[window.at :])
    if end is None:
        # The fast parser takes half a surrogate pair for the end of its text.
        odd = window.whole or _SURROGATE.search(window.text, window.at)
        return _end_by_counting(window) if odd else None
    if end == _MALFORMED:
        return _end_by_counting(window)
    is_certain = end + window.at < len(window.text) or window.whole or _is_closed(window.text)
    window.strict_until = window.start + window.at + end
    return window.at + end if is_certain else None


def _is_closed(text: bytearray) -> bool:
    # A number at the end of the window may have more digits to come.
    return bytes(text[-1:]) in (b"}", b"]", b'"')


def _end_of_text(text: bytes | memoryview) -> int | None:
    """Where the first value ends: None where the text is too short, _MALFORMED where a strict parser gives up.

    A parser in C finds it far faster than any counting here, and tells when it meets what comes behind.
    """
    try:
        _text_of.decode(text)
    except msgspec.DecodeError as error:
        trailing = _TRAILING.search(str(error))
        if trailing:
            return int(trailing[1]) - 1  # it counts the byte that it stumbled over
        return None if "truncated" in str(error) else _MALFORMED
    except RecursionError:
        return _MALFORMED
    return len(text)


def _end_by_counting(window: _Window) -> int | None:
    """The same for what only a lenient parser reads: NaN, half a surrogate pair, and what is broken altogether."""
    text, at = window.text, window.at
    first = bytes(text[at : at + 1])
    if first in (b"{", b"["):
        return _end_of_brackets(text, at)
    match = (_STRING if first == b'"' else _SCALAR).match(text, at)
    if match is None and first != b'"' and window.whole:
        return len(text)
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


def _taken(window: _Window, end: int) -> Any:
    """The value up to here, as text where a strict parser will read it."""
    text = window.take(end)
    if window.strict_until == window.start + window.at:
        return msgspec.Raw(text)
    try:
        return _text_of.decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable("JSON nested too deeply", "this is not a history", window.position(-len(text))) from None
    except ValueError as error:
        offset = getattr(error, "pos", 0) - len(text)
        reason = getattr(error, "msg", str(error))
        raise Unreadable(f"not valid JSON: {reason}", "export the history again", window.position(offset)) from None
