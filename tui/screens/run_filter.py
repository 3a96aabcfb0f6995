"""The filter line of the list of runs: the conditions of `replaytool runs`, written as words.

`type:Loyalty status:Running build:v2 since:2h until:2026-01-01 problem:blind where:event_count > 9`, and any other word
is looked for in ids, types and run keys.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.time_parsing import parse_since_time

CONDITIONS = {
    "workflow_type": "workflow_type = ?",
    "status": "lower(status) = lower(?)",
    "build": "run_key IN (SELECT run.run_key FROM run JOIN run_build ON run_build.run = run.id WHERE build_id = ?)",
    "since": "started_at >= CAST(? AS TIMESTAMP)",
    "until": "started_at < CAST(? AS TIMESTAMP)",
    "problem": "run_key IN (SELECT run_key FROM problems WHERE code = ?)",
    "verdict": "run_key IN (SELECT run_key FROM verdict JOIN run USING (run_key) WHERE run_sha256 = sha256 "
    "QUALIFY checked_at = max(checked_at) OVER (PARTITION BY run_key) AND verdict = ?)",
}
"""As the command line has them; a test holds the two together."""

_WORDS = {"type": "workflow_type", **{name: name for name in CONDITIONS}}
_MOMENTS = ("since", "until")
_ANYWHERE = "(contains(lower(concat_ws(' ', workflow_id, run_id, workflow_type, run_key)), lower(?)))"
_TOKEN = re.compile(r'\s*(?:(\w+):)?(?:"([^"]*)"|(\S+))')
SORTS = ("started_at", "workflow_id", "workflow_type", "status", "event_count", "last_build", "verdict")
_VERDICTS = (
    "SELECT run_key AS judged, arg_max(verdict, checked_at) AS verdict FROM verdict JOIN run USING (run_key) "
    "WHERE run_sha256 = sha256 GROUP BY run_key"
)
_ODD = "SELECT run_key AS odd, string_agg(DISTINCT code, ' ' ORDER BY code) AS codes FROM problems GROUP BY run_key"


def parse_filter(text: str) -> str:
    """The line as SQL over the view `runs`."""
    parts, place = [], 0
    while match := _TOKEN.match(text, place):
        word, quoted, bare = match.groups()
        if word == "where":
            parts.append(f"({text[match.start(3) if bare else match.start(2) - 1 :]}\n)")
            break
        if word is not None and word not in _WORDS:
            raise ReplaytoolError(
                f"unknown filter {word!r}",
                f"filters: {', '.join(('type', *CONDITIONS))}, where",
                code=ErrorCode.TUI_FILTER,
            )
        value = quoted if quoted is not None else bare
        value = _parse_time(value) if word in _MOMENTS else value
        parts.append((CONDITIONS[_WORDS[word]] if word else _ANYWHERE).replace("?", _quote_sql(value)))
        place = match.end()
    return " AND ".join(parts) or "true"


def build_runs_query(text: str, sort: str, *, descending: bool) -> str:
    """The rows that the list shows."""
    down = " DESC" if descending else ""
    return (
        "SELECT run_key, workflow_id, workflow_type, status, started_at, event_count, first_build, last_build, codes, "
        f"verdict FROM runs LEFT JOIN ({_VERDICTS}) ON judged = run_key LEFT JOIN ({_ODD}) ON odd = run_key "
        f"WHERE {parse_filter(text)} ORDER BY {sort}{down} NULLS LAST, workflow_id, run_key"
    )


def format_filter_word(name: str, value: str) -> str:
    """One condition as the line writes it."""
    return f'{name}:"{value}"' if re.search(r"\s", value) else f"{name}:{value}"


def _parse_time(value: str) -> str:
    return parse_since_time(value, datetime.now(UTC)).replace(tzinfo=None).isoformat()


def _quote_sql(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
