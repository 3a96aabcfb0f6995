"""Build the visibility query of a pull."""

from __future__ import annotations

from datetime import UTC, datetime

from replaytool.time_parsing import parse_since_time


def visibility_query(query: str, since: str | None, now: datetime | None = None) -> str:
    """Combine a query and a time.

    >>> visibility_query("A = 1 OR B = 2", "2026-01-02")
    "(A = 1 OR B = 2) AND (StartTime >= '2026-01-02T00:00:00Z' OR CloseTime >= '2026-01-02T00:00:00Z')"
    """
    if since is None:
        return query.strip()
    time = parse_since_time(since, now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    # A run that started earlier but closed since then has changed too.
    recent = f"(StartTime >= '{time}' OR CloseTime >= '{time}')"
    return f"({query.strip()}) AND {recent}" if query.strip() else recent
