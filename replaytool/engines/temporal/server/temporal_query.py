"""Which runs of a server are meant: a visibility query and a time."""

from __future__ import annotations

from datetime import UTC, datetime

from replaytool.time_parsing import since_time


def visibility_query(query: str, since: str | None, now: datetime | None = None) -> str:
    """The person's query and the time, both of which must hold.

    >>> visibility_query("A = 1 OR B = 2", "2026-01-02")
    "(A = 1 OR B = 2) AND (StartTime >= '2026-01-02T00:00:00Z' OR CloseTime >= '2026-01-02T00:00:00Z')"
    """
    if since is None:
        return query.strip()
    time = since_time(since, now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    # A run that began earlier and ended since has changed since: it is meant as well.
    recent = f"(StartTime >= '{time}' OR CloseTime >= '{time}')"
    return f"({query.strip()}) AND {recent}" if query.strip() else recent
