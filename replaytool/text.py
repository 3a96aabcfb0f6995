"""Safe and short text: escape control characters, count nouns, shorten."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import cache

_PLAIN = re.compile(
    r"[\x20-\x7e\xa0-\xac\xae-\u01ff\u0391-\u03a1\u03a3-\u052f\u3041-\u3096\u3099-\u30ff\u4e00-\u9fef\uac00-\ud7a3]*"
)
"""Characters that hide nothing, so that most text needs no look at single characters."""
_WORD_START = 120
_LONGEST_PATH = 4096
_LONG_WORD = re.compile(r"""[^\s"'`<>|]{301,}""")
_URL_SECRETS = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/\s'"]*@)?([^\s'"?]*)(\?(?=\w*[=&])[^\s'"]*)?""")
_REQUEST_LINES = re.compile(r"""\b((?:GET|HEAD|PUT|POST|DELETE|PATCH|OPTIONS) /[^\s'"?]*)\?[^\s'"]*""")
"""What HTTP libraries log: the path and the query, without the host."""
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""Return the text with every control, format and unassigned character escaped.

    >>> escape_controls("a\x1b[31mb")
    'a\\x1b[31mb'
    >>> escape_controls("one\ntwo", keep="\n")
    'one\ntwo'
    """
    if _PLAIN.fullmatch(text):
        return text
    return text.translate(_escapes_but(keep))


class _Escapes(dict[int, str]):
    """What stands for each character; each is looked up in Unicode once."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        is_hidden = unicodedata.category(char) in _HIDDEN
        self[code] = char.encode("unicode_escape").decode("ascii") if is_hidden else char
        return self[code]


@cache
def _escapes_but(keep: str) -> _Escapes:
    return _Escapes((ord(char), char) for char in keep)


def count_noun(number: int, noun: str) -> str:
    """Return a number and its noun.

    >>> count_noun(1, "run"), count_noun(4180, "run")
    ('1 run', '4,180 runs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def suggest_word(word: str, known: Iterable[str]) -> str:
    """Return the question for the end of a message whether a similar word was meant; "" if none is similar."""
    from difflib import get_close_matches

    similar = get_close_matches(word.lower(), list(known), 1)
    return f"; did you mean {similar[0]!r}?" if similar else ""


def shorten_text(text: str, width: int) -> str:
    """Return at most `width` characters; an ellipsis shows that some were cut.

    >>> shorten_text("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def cut_long_words(text: str) -> str:
    """Return the text with each word of more than 300 letters cut: a name from outside can have any length.

    >>> cut_long_words("type " + "A" * 200000 + " differs")[-40:]
    'AAAAAAAAAAAAA… (200,000 letters) differs'
    """
    return _LONG_WORD.sub(lambda found: f"{found[0][:_WORD_START]}… ({len(found[0]):,} letters)", text)


def cut_long_path(path: str) -> str:
    """Return a path unchanged, since a part of it is another path; cut what no file system takes."""
    return path if len(path) <= _LONGEST_PATH else cut_long_words(path)


def cut_long_words_inside(value: object, paths: Collection[str] = ()) -> object:
    """Return a value of a JSON document with the long words of all its texts cut; the keys in `paths` hold paths.

    >>> cut_long_words_inside({"text": ["A" * 400], "uri": "B" * 301}, {"uri"})["text"][0][-16:]
    'A… (400 letters)'
    """
    if isinstance(value, str):
        return cut_long_words(value)
    if isinstance(value, list | tuple):
        return [cut_long_words_inside(one, paths) for one in value]
    if isinstance(value, dict):
        return {
            key: cut_long_path(one) if key in paths and isinstance(one, str) else cut_long_words_inside(one, paths)
            for key, one in value.items()
        }
    return value


def hide_url_secrets(text: str) -> str:
    """Return the text with user names, passwords and query strings taken out of its URLs.

    >>> hide_url_secrets("cannot read https://me:secret@host/a?sig=abc: 403")
    'cannot read https://host/a?… 403'
    """
    text = _REQUEST_LINES.sub(r"\1?…", text)
    if "://" not in text:
        return text
    return _URL_SECRETS.sub(lambda found: f"{found[1]}{found[2]}{'?…' if found[3] else ''}", text)
