"""Text that other people wrote, made safe to show: control characters are shown, never sent."""

import re
import unicodedata

_PLAIN = re.compile(
    r"[\x20-\x7e\xa0-\xac\xae-\u01ff\u0391-\u03a1\u03a3-\u052f\u3041-\u3096\u3099-\u30ff\u4e00-\u9fef\uac00-\ud7a3]*"
)
"""What most text is made of; nothing in it is hidden, so such text need not be looked at by the letter."""
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str, *, keep: str = "") -> str:
    r"""The text with every control, format and unassigned character spelled out.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    >>> visible("one\ntwo", keep="\n")
    'one\ntwo'
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(char if char in keep else _shown(char) for char in text)


def _shown(char: str) -> str:
    if unicodedata.category(char) not in _HIDDEN:
        return char
    return char.encode("unicode_escape").decode("ascii")


def counted(number: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted(1, "run"), counted(4180, "run")
    ('1 run', '4,180 runs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shortened(text: str, width: int) -> str:
    """At most `width` characters, the last of them an ellipsis where something was cut.

    >>> shortened("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
