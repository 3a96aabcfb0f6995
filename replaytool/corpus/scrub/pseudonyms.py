"""Stand-ins for values: of the same type, length and make, and the same for the same value as long as the key is.

A stand-in is made from a keyed hash, so that without the key nobody finds the value by trying what it might have been.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

_HEX = "0123456789abcdef"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?")
_DAYS = 3_000


class Standins:
    """Stand-ins under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, value: Any) -> Any:
        """For text and numbers; whatever else a value can be tells too little to be worth one.

        >>> Standins(b"k").of(True), Standins(b"k").of(None), Standins(b"k").of(0), Standins(b"k").of("--")
        (True, None, 0, '--')
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return self._number(value)

    def text(self, value: str) -> str:
        """What is made like it: a letter for a letter, a digit for a digit, the rest as it stands.

        >>> made = Standins(b"k").text("Ada L. (1815)")
        >>> re.fullmatch("[A-Z][a-z][a-z] [A-Z][.] [(][0-9]{4}[)]", made) is not None
        True
        """
        for pattern, make in _MAKES:
            if pattern.fullmatch(value):
                return make(self, value)
        return self._characters(value)

    def _bytes(self, text: str, size: int) -> bytes:
        seed = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")
        return hashlib.shake_256(seed).digest(size)

    def _characters(self, value: str) -> str:
        chance = self._bytes(value, len(value) + 1)
        made = "".join(_like(char, byte) for char, byte in zip(value, chance, strict=False))
        if made != value:
            return made
        at = next((at for at, char in enumerate(value) if char.isalnum()), None)
        if at is None:
            return value
        after = _alphabet(value[at]).find(value[at]) + 1
        return value[:at] + _like(value[at], after) + value[at + 1 :]

    def _uuid(self, value: str) -> str:
        """The version and the variant stay: readers look at them."""
        chance = self._bytes(value.lower(), 36)
        made = [
            char if at in (8, 13, 14, 18, 19, 23) else _HEX[byte % 16]
            for at, (char, byte) in enumerate(zip(value.lower(), chance, strict=True))
        ]
        return "".join(made) if value == value.lower() else "".join(made).upper()

    def _time(self, value: str) -> str:
        """Another day, and another time of it: a date that no calendar has could not be read."""
        try:
            day = datetime.fromisoformat(value[:10]).replace(tzinfo=UTC)
            moved = day + timedelta(days=1 + int.from_bytes(self._bytes(value[:10], 4)) % _DAYS)
        except (ValueError, OverflowError):
            return self._characters(value)
        chance = self._bytes(value, 3)
        clock = f"{chance[0] % 24:02}:{chance[1] % 60:02}:{chance[2] % 60:02}"
        return moved.strftime("%Y-%m-%d") + value[10:11] + clock[: max(0, min(len(value) - 11, 8))] + value[19:]

    def _number(self, value: float) -> Any:
        """As many digits, the same sign; nothing stays nothing."""
        text = json.dumps(value)
        if not value or not re.fullmatch(r"-?\d+(\.\d+)?", text):
            return value
        whole, point, rest = text.lstrip("-").partition(".")
        made = self._whole(whole) + (point + self._fraction(rest) if point else "")
        return json.loads(("-" if text.startswith("-") else "") + made)

    def _whole(self, digits: str) -> str:
        if digits == "0":
            return digits
        made = self._characters(digits)
        first = made[0] if made[0] != "0" else str(1 + self._bytes(digits, 1)[0] % 9)
        return first + made[1:] if first + made[1:] != digits else str(1 + int(first) % 9) + made[1:]

    def _fraction(self, digits: str) -> str:
        return digits if not int(digits) else self._whole(digits[::-1])[::-1]


_MAKES: tuple[tuple[re.Pattern[str], Callable[[Standins, str], str]], ...] = (
    (_UUID, Standins._uuid),
    (_TIME, Standins._time),
    (re.compile(r"[1-9]\d*"), Standins._whole),
)


def _alphabet(char: str) -> str:
    if char.isdigit():
        return string.digits
    return string.ascii_uppercase if char.isupper() else string.ascii_lowercase


def _like(char: str, byte: int) -> str:
    if not char.isalnum():
        return char
    alphabet = _alphabet(char)
    return alphabet[byte % len(alphabet)]
