"""Names for files of histories: readable, safe on every file system, and with the run ID in them."""

from __future__ import annotations

import re

from replaytool.store import RunRow

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 60


def history_file_name(row: RunRow) -> str:
    """Return a stable name, from which a loader reads the run ID."""
    parts = [_safe_name(part) for part in (row.workflow_type, row.workflow_id) if part]
    return "_".join([*parts, _safe_name(row.run_id or row.run_key)]) + ".json"


def _safe_name(text: str) -> str:
    """Replace characters that a shell, a file system or a link may misread.

    >>> _safe_name("../orders/17: née")
    'orders-17-n-e'
    """
    return _UNSAFE.sub("-", text).strip("-.")[:_LONGEST] or "unnamed"
