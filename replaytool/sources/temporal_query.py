"""Which runs are meant: a visibility query, and "since" in the words that people use."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from replaytool.errors import ReplaytoolError
from replaytool.text import visible

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(?:\d+[smhdw])+", re.IGNORECASE)


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


def since_time(since: str, now: datetime) -> datetime:
    """The moment that 2h, 1d12h or an ISO 8601 time stands for; without a zone it is UTC.

    >>> since_time("1d12h", datetime(2026, 1, 3, tzinfo=UTC)).isoformat()
    '2026-01-01T12:00:00+00:00'
    """
    text = since.strip()
    try:
        if _AGO.fullmatch(text):
            return now - _duration(text.lower())
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ReplaytoolError(
            f"{visible(since)} is no time", "write 30m, 2h, 3d, 1w, or a time such as 2026-01-31T08:00Z"
        ) from error


def _duration(text: str) -> timedelta:
    amounts = re.findall(r"(\d+)([smhdw])", text)
    return sum((timedelta(**{_UNITS[unit]: int(amount)}) for amount, unit in amounts), timedelta())
