"""What the SDK's replayer says, taken from the sentence that it says it in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_EVENT = re.compile(r"HistoryEvent\(id: (\d+)")
_INNER = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_TYPE = re.compile(r'r#type: "([^"]*)"')
_LANG_FAIL = "4:"

Said = Literal["ok", "nondeterminism", "code", "history"]


@dataclass(frozen=True, slots=True)
class Says:
    """The SDK's verdict in four words: fine, another course, the code fails, the history is odd."""

    word: Said
    message: str = ""
    event_id: int | None = None


def understood(failure: BaseException | None, nondeterminism: bool, evicted_at: int | None) -> Says:
    """The verdict behind what came back from a replay."""
    if failure is None:
        return Says("ok")
    text = str(failure)
    inner = _INNER.search(text)
    kind = _TYPE.search(text)
    message = (_unescaped(inner[1]) or (kind[1] if kind else "")) if inner else text
    if nondeterminism:
        named = _EVENT.search(text)
        event_id = int(named[1]) if named else (evicted_at + 1 if evicted_at else None)
        return Says("nondeterminism", message, event_id)
    return Says("code" if text.startswith(_LANG_FAIL) else "history", message)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)
