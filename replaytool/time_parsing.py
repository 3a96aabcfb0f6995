"""Parse times as people write them: 2h, 3d, or ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.text import escape_controls

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(?:\d+[smhdw])+", re.IGNORECASE)


def parse_since_time(since: str, now: datetime) -> datetime:
    """Return the time that 2h, 1d12h or an ISO 8601 time stands for; without a zone it is UTC.

    >>> parse_since_time("1d12h", datetime(2026, 1, 3, tzinfo=UTC)).isoformat()
    '2026-01-01T12:00:00+00:00'
    """
    text = since.strip()
    try:
        if _AGO.fullmatch(text):
            return now - _parse_duration(text.lower())
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ReplaytoolError(
            f"{escape_controls(since)} is not a time",
            "write 30m, 2h, 3d, 1w, or a time such as 2026-01-31T08:00Z",
            code=ErrorCode.USAGE_TIME,
        ) from error


def parse_time_span(text: str) -> timedelta:
    """Return the time span that 30m, 1d12h or 2w stands for.

    >>> parse_time_span("1d12h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if not _AGO.fullmatch(text.strip()):
        raise ReplaytoolError(
            f"{escape_controls(text)} is not a time span", "write 30m, 2h, 3d or 1w", code=ErrorCode.USAGE_TIME
        )
    return _parse_duration(text.strip().lower())


def _parse_duration(text: str) -> timedelta:
    amounts = re.findall(r"(\d+)([smhdw])", text)
    return sum((timedelta(**{_UNITS[unit]: int(amount)}) for amount, unit in amounts), timedelta())
