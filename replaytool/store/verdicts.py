"""Verdicts by run and by code: an unchanged run is not replayed again with unchanged code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from replaytool.store.connections import Connection

_TEXT = pa.large_string()
_SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in ("run_key", "code_fingerprint", "verdict", "reason", "engine", "confirmed_by")),
        ("event_id", pa.int32()),
        ("detail", _TEXT),
        ("seconds", pa.float64()),
    ]
)


def save_verdicts(connection: Connection, fingerprint: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Store verdicts by run key, in the form of the JSON report."""
    rows = pa.Table.from_pylist(
        [_verdict_row(key, fingerprint, verdict) for key, verdict in found.items()], schema=_SCHEMA
    )
    connection.register("incoming", rows)
    connection.execute(
        "DELETE FROM verdict WHERE code_fingerprint = ? AND run_key IN (SELECT run_key FROM incoming)", [fingerprint]
    )
    connection.execute(
        "INSERT INTO verdict BY NAME SELECT incoming.*, run.sha256 AS run_sha256, "
        "CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP) AS checked_at FROM incoming JOIN run USING (run_key)"
    )
    connection.unregister("incoming")


def _verdict_row(run_key: str, fingerprint: str, verdict: Mapping[str, Any]) -> dict[str, Any]:
    place = verdict.get("divergence") or verdict.get("failure") or {}
    return {
        "run_key": run_key,
        "code_fingerprint": fingerprint,
        **{name: verdict.get(name) for name in ("verdict", "reason", "engine", "confirmed_by", "seconds")},
        "event_id": place.get("event_id"),
        "detail": json.dumps(verdict),
    }


_NEWEST = """
SELECT verdict.run_key, verdict.verdict, verdict.checked_at, detail, source, workflow_id, run_id, workflow_type,
    event_count
FROM verdict JOIN run ON run.run_key = verdict.run_key AND run.sha256 = verdict.run_sha256
QUALIFY row_number() OVER (PARTITION BY verdict.run_key ORDER BY verdict.checked_at DESC) = 1
"""


def read_newest_verdicts(connection: Connection, run_key: str | None = None) -> list[dict[str, Any]]:
    """Return the last check's verdict on each run as it is now, or on one run."""
    condition = "" if run_key is None else "WHERE run_key = ?"
    result = connection.execute(f"FROM ({_NEWEST}) {condition} ORDER BY run_key", [] if run_key is None else [run_key])
    names = [column[0] for column in result.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return [row | {"detail": json.loads(row["detail"])} for row in rows]


def read_verdicts(connection: Connection, fingerprint: str, run_keys: Iterable[str]) -> dict[str, Any]:
    """Return the stored verdicts on these runs, as they are now, with this code."""
    rows = connection.execute(
        "SELECT verdict.run_key, detail FROM verdict JOIN run "
        "ON run.run_key = verdict.run_key AND run.sha256 = verdict.run_sha256 "
        "WHERE code_fingerprint = ? AND verdict.run_key IN (SELECT unnest(?))",
        [fingerprint, list(run_keys)],
    ).fetchall()
    return {run_key: json.loads(detail) for run_key, detail in rows}
