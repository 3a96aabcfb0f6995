"""Which runs to list: the filters of the command line, of the TUI's filter line and of the product itself, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from replaytool.time_parsing import parse_since_time

_ANY_ID = "list_contains(?, run_key) OR list_contains(?, workflow_id) OR list_contains(?, run_id)"
_USER_CONDITIONS = {
    "workflow_type": "workflow_type = ?",
    "status": "lower(status) = lower(?)",
    "build": "run_key IN (SELECT run.run_key FROM run JOIN run_build ON run_build.run = run.id WHERE build_id = ?)",
    "since": "started_at >= CAST(? AS TIMESTAMP)",
    "until": "started_at < CAST(? AS TIMESTAMP)",
    "problem": "run_key IN (SELECT run_key FROM problems WHERE code = ?)",
    # A verdict on a shorter record of the run is outdated, so the digest must be the same.
    "verdict": "run_key IN (SELECT run_key FROM verdict JOIN run USING (run_key) WHERE run_sha256 = sha256 "
    "QUALIFY checked_at = max(checked_at) OVER (PARTITION BY run_key) AND verdict = ?)",
}
_CONDITIONS = _USER_CONDITIONS | {
    "anywhere": "contains(lower(concat_ws(' ', workflow_id, run_id, workflow_type, run_key)), lower(?))",
    "namespace": "coalesce(namespace, ?) = ?",
    "ids": f"coalesce({_ANY_ID}, false)",
    "except_ids": f"NOT coalesce({_ANY_ID}, false)",
    "run_keys": "run_key IN (SELECT unnest(?))",
    "run_ids": "list_contains(?, run_id)",
    "workflow_ids": "run_id IS NOT NULL AND workflow_id IN (SELECT unnest(?))",
    "continues": "continued_run_id = ? AND run_id <> ?",
}
_TIMES = ("since", "until")
RUN_FILTERS = tuple(_USER_CONDITIONS)
"""What a user can filter runs by, in the order in which help texts list it."""
RUN_SORTS = ("started_at", "workflow_id", "workflow_type", "status", "event_count", "last_build", "verdict")
"""What a list of runs can be sorted by."""
_NEWEST_VERDICTS = (
    "SELECT run_key AS judged, arg_max(verdict, checked_at) AS verdict FROM verdict JOIN run USING (run_key) "
    "WHERE run_sha256 = sha256 GROUP BY run_key"
)
_PROBLEM_CODES = (
    "SELECT run_key AS odd, string_agg(DISTINCT code, ' ' ORDER BY code) AS codes FROM problems GROUP BY run_key"
)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Conditions that a run must fulfil, all of them."""

    conditions: Sequence[tuple[str, str | Sequence[str]]] = ()
    """Pairs of a name in `RUN_FILTERS` and a value as the user wrote it: a time may be `2h` or an ISO 8601 time."""
    where: str | None = None
    """A condition of the user's own in SQL, over the view `runs`."""

    def to_sql(self) -> tuple[str, list[object]]:
        """Return the condition with placeholders, and their values."""
        parts, values = [], list[object]()
        for name, value in self.conditions:
            condition = _CONDITIONS[name]
            parts.append(f"({condition})")
            values += [_read_value(name, value)] * condition.count("?")
        return self._join_parts(parts), values

    def to_literal_sql(self) -> str:
        """Return the condition with its values written out: DuckDB streams no result of a query with placeholders."""
        parts = []
        for name, value in self.conditions:
            assert isinstance(value, str), f"{name} takes a list, which only to_sql can pass"
            quoted = "'" + str(_read_value(name, value)).replace("'", "''") + "'"
            parts.append(f"({_CONDITIONS[name].replace('?', quoted)})")
        return self._join_parts(parts)

    def _join_parts(self, parts: list[str]) -> str:
        # The line break ends a comment that the user's condition may end with.
        return " AND ".join([*parts, *([f"({self.where}\n)"] if self.where else [])]) or "true"


def filter_runs(**conditions: str | Sequence[str]) -> RunFilter:
    """Return a filter with one value for each condition."""
    return RunFilter(tuple(conditions.items()))


def _read_value(name: str, value: str | Sequence[str]) -> str | list[str]:
    if not isinstance(value, str):
        return list(value)
    return parse_since_time(value, datetime.now(UTC)).replace(tzinfo=None).isoformat() if name in _TIMES else value


def run_list_query(wanted: RunFilter, sort: str, *, descending: bool) -> str:
    """Return the query of a sorted list of runs, each with its last verdict and the codes of its problems."""
    assert sort in RUN_SORTS, f"{sort} is no column to sort by"
    down = " DESC" if descending else ""
    return (
        "SELECT run_key, workflow_id, workflow_type, status, started_at, event_count, first_build, last_build, codes, "
        f"verdict FROM runs LEFT JOIN ({_NEWEST_VERDICTS}) ON judged = run_key "
        f"LEFT JOIN ({_PROBLEM_CODES}) ON odd = run_key "
        f"WHERE {wanted.to_literal_sql()} ORDER BY {sort}{down} NULLS LAST, workflow_id, run_key"
    )
