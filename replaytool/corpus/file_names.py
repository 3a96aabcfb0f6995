"""Names for files of histories: readable, safe on every file system, and with the run's id in them."""

from __future__ import annotations

import re

from replaytool.store import RunRow

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 60


def file_name(row: RunRow) -> str:
    """A name that is the same each time, and from which a loader reads the run id."""
    parts = [_safe(part) for part in (row.workflow_type, row.workflow_id) if part]
    return "_".join([*parts, _safe(row.run_id or row.run_key)]) + ".json"


def _safe(text: str) -> str:
    """Without what a shell, a file system or a link would take amiss.

    >>> _safe("../orders/17: née")
    'orders-17-n-e'
    """
    return _UNSAFE.sub("-", text).strip("-.")[:_LONGEST] or "unnamed"
