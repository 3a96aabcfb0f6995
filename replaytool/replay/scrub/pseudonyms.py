"""Pseudonyms for values: same type, length and form, and the same for equal values under one key.

A pseudonym is made with a keyed hash, so nobody without the key can find a value by trying candidates.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_HEX = "0123456789abcdef"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?")
_DAYS = 3_000


class Pseudonyms:
    """Makes pseudonyms under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def replace_value(self, value: object) -> object:
        """Replace text and numbers; other values say too little to matter.

        >>> [Pseudonyms(b"k").replace_value(value) for value in (True, None, 0, "--")]
        [True, None, 0, '--']
        """
        if isinstance(value, str):
            return self.replace_text(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return self._replace_number(value)

    def replace_text(self, value: str) -> str:
        """Replace letters by letters and digits by digits; other characters stay.

        >>> made = Pseudonyms(b"k").replace_text("Ada L. (1815)")
        >>> re.fullmatch("[A-Z][a-z][a-z] [A-Z][.] [(][0-9]{4}[)]", made) is not None
        True
        """
        for pattern, make in _MAKES:
            if pattern.fullmatch(value):
                return make(self, value)
        return self._replace_characters(value)

    def _keyed_bytes(self, text: str, size: int) -> bytes:
        seed = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")
        return hashlib.shake_256(seed).digest(size)

    def _replace_characters(self, value: str) -> str:
        chance = self._keyed_bytes(value, len(value) + 1)
        made = "".join(_similar_character(char, byte) for char, byte in zip(value, chance, strict=False))
        if made != value:
            return made
        at = next((at for at, char in enumerate(value) if char.isalnum()), None)
        if at is None:
            return value
        after = _alphabet_of(value[at]).find(value[at]) + 1
        return value[:at] + _similar_character(value[at], after) + value[at + 1 :]

    def _replace_uuid(self, value: str) -> str:
        """Keep the version and the variant, because readers check them."""
        chance = self._keyed_bytes(value.lower(), 36)
        made = [
            char if at in (8, 13, 14, 18, 19, 23) else _HEX[byte % 16]
            for at, (char, byte) in enumerate(zip(value.lower(), chance, strict=True))
        ]
        return "".join(made) if value == value.lower() else "".join(made).upper()

    def _replace_time(self, value: str) -> str:
        """Use a valid date and time, because readers parse it."""
        try:
            day = datetime.fromisoformat(value[:10]).replace(tzinfo=UTC)
            moved = day + timedelta(days=1 + int.from_bytes(self._keyed_bytes(value[:10], 4)) % _DAYS)
        except (ValueError, OverflowError):
            return self._replace_characters(value)
        chance = self._keyed_bytes(value, 3)
        clock = f"{chance[0] % 24:02}:{chance[1] % 60:02}:{chance[2] % 60:02}"
        return moved.strftime("%Y-%m-%d") + value[10:11] + clock[: max(0, min(len(value) - 11, 8))] + value[19:]

    def _replace_number(self, value: float) -> object:
        """Keep the number of digits and the sign; 0 stays 0."""
        text = json.dumps(value)
        if not value or not re.fullmatch(r"-?\d+(\.\d+)?", text):
            return value
        whole, point, rest = text.lstrip("-").partition(".")
        made = self._replace_digits(whole) + (point + self._replace_fraction(rest) if point else "")
        return json.loads(("-" if text.startswith("-") else "") + made)

    def _replace_digits(self, digits: str) -> str:
        if digits == "0":
            return digits
        made = self._replace_characters(digits)
        first = made[0] if made[0] != "0" else str(1 + self._keyed_bytes(digits, 1)[0] % 9)
        return first + made[1:] if first + made[1:] != digits else str(1 + int(first) % 9) + made[1:]

    def _replace_fraction(self, digits: str) -> str:
        return digits if not int(digits) else self._replace_digits(digits[::-1])[::-1]


_MAKES: tuple[tuple[re.Pattern[str], Callable[[Pseudonyms, str], str]], ...] = (
    (_UUID, Pseudonyms._replace_uuid),
    (_TIME, Pseudonyms._replace_time),
    (re.compile(r"[1-9]\d*"), Pseudonyms._replace_digits),
)


def _alphabet_of(char: str) -> str:
    if char.isdigit():
        return string.digits
    return string.ascii_uppercase if char.isupper() else string.ascii_lowercase


def _similar_character(char: str, byte: int) -> str:
    if not char.isalnum():
        return char
    alphabet = _alphabet_of(char)
    return alphabet[byte % len(alphabet)]
