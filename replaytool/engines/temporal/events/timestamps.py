"""Parse recorded times to nanoseconds. This runs once per workflow task, so it is written by hand for speed."""

from __future__ import annotations

import datetime
from functools import lru_cache

_SECOND = 1_000_000_000


@lru_cache(maxsize=512)
def _parse_day(date: str) -> int:
    return int(datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC).timestamp())


def parse_nanoseconds(time: str | None) -> int | None:
    """Return a recorded time in nanoseconds since the epoch, or None.

    >>> parse_nanoseconds("1970-01-01T00:01:00.5Z")
    60500000000
    >>> parse_nanoseconds("1970-01-01T02:00:00+02:00")
    0
    """
    if not time:
        return None
    if time[-1] == "Z" and time[10] == "T":
        seconds = _parse_day(time[:10]) + int(time[11:13]) * 3600 + int(time[14:16]) * 60 + int(time[17:19])
        return seconds * _SECOND + int(time[20:-1].ljust(9, "0")[:9] or 0)
    moment = datetime.datetime.fromisoformat(time)
    # datetime ends at microseconds. Servers write nanoseconds, but always with Z, which is read above.
    return round(moment.timestamp() * 1_000_000) * 1000
