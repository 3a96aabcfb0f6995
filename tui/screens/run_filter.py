"""The filter line of the list of runs: the conditions of `replaytool runs`, written as words.

`type:Loyalty status:Running build:v2 since:2h until:2026-01-01 problem:blind where:event_count > 9`, and any other word
is looked for in ids, types and run keys.
"""

from __future__ import annotations

import re

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.session import RUN_FILTERS, RunFilter

_CONDITIONS = {"type": "workflow_type", **{name: name for name in RUN_FILTERS}}
_TOKEN = re.compile(r'\s*(?:(\w+):)?(?:"([^"]*)"|(\S+))')


def parse_filter(text: str) -> RunFilter:
    """The line as conditions that a run must fulfil."""
    conditions: list[tuple[str, str]] = []
    place = 0
    while match := _TOKEN.match(text, place):
        word, quoted, bare = match.groups()
        if word == "where":
            return RunFilter(conditions, text[match.start(3) if bare else match.start(2) - 1 :])
        if word is not None and word not in _CONDITIONS:
            raise ReplaytoolError(
                f"unknown filter {word!r}",
                f"filters: {', '.join(('type', *RUN_FILTERS))}, where",
                code=ErrorCode.TUI_FILTER,
            )
        conditions.append((_CONDITIONS[word] if word else "anywhere", quoted if quoted is not None else bare))
        place = match.end()
    return RunFilter(conditions)


def format_filter_word(name: str, value: str) -> str:
    """One condition as the line writes it."""
    return f'{name}:"{value}"' if re.search(r"\s", value) else f"{name}:{value}"
