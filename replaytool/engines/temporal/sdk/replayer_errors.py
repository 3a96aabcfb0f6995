"""Parse the failure text of the SDK's replayer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_EVENT = re.compile(r"HistoryEvent\(id: (\d+)")
_FATAL_AT = re.compile(r"(?:EventInfo \{ event_id: |HistoryEvent\(id: )(\d+)")
_INNER = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_TYPE = re.compile(r'r#type: "([^"]*)"')
_LANG_FAIL = "4:"

Said = Literal["ok", "nondeterminism", "code", "history"]


@dataclass(frozen=True, slots=True)
class ReplayerOutcome:
    """How a replay ended: ok, nondeterminism, the code fails a task, or sdk-core rejects the history."""

    word: Said
    message: str = ""
    event_id: int | None = None


def parse_replayer_failure(
    failure: BaseException | None, nondeterminism: bool, evicted_at: int | None
) -> ReplayerOutcome:
    """Return the outcome that the replayer's failure describes; without a failure it is ok."""
    if failure is None:
        return ReplayerOutcome("ok")
    text = str(failure)
    inner = _INNER.search(text)
    kind = _TYPE.search(text)
    message = (_unescape_text(inner[1]) or (kind[1] if kind else "")) if inner else text
    if nondeterminism:
        named = _EVENT.search(text)
        event_id = int(named[1]) if named else (evicted_at + 1 if evicted_at else None)
        return ReplayerOutcome("nondeterminism", message, event_id)
    return ReplayerOutcome("code" if text.startswith(_LANG_FAIL) else "history", message)


def find_fatal_event(message: str) -> int | None:
    """Return the id of the event at which sdk-core rejected the history, or None where its message names none."""
    named = _FATAL_AT.search(message)
    return int(named[1]) if named else None


def _unescape_text(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)
