"""What is wrong with text that begins like JSON and has no known format: it may be no JSON at all."""

from __future__ import annotations

import json
import re

from replaytool.errors import ErrorCode
from replaytool.formats.base import Unreadable

_LONGEST_WORD = 64
"""A word or number that the end of the head cuts is shorter than this."""
_CUT_WORD = re.compile(r"\s*[\w.+-]{0,8}\s*")


def find_json_fault(head: bytes, *, is_whole: bool, offset: int = 0) -> Unreadable | None:
    """Return the fault of the first value; None if it is valid, or if the head ends before a fault.

    `offset` is the place of the head in the file.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    try:
        json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except json.JSONDecodeError as error:
        is_at_end = error.msg.startswith("Unterminated") or _CUT_WORD.fullmatch(text, error.pos) is not None
        if not is_whole and (is_at_end or error.pos > len(text) - _LONGEST_WORD):
            return None
        if is_at_end:
            return Unreadable(
                "the JSON ends in the middle of a value: the file is cut off",
                "export the history again",
                f"byte {offset + len(head)}",
                code=ErrorCode.FORMAT_CUT_OFF,
            )
        skipped = len(head) - len(text.encode("utf-8", "surrogateescape"))
        place = skipped + len(text[: error.pos].encode("utf-8", "surrogateescape"))
        return Unreadable(
            f"not valid JSON: {error.msg}",
            "export the history again",
            f"byte {offset + place}",
            code=ErrorCode.FORMAT_INVALID_JSON,
        )
    except RecursionError:
        return None
    return None
