"""Digest what the views of a store hold, so that two versions can be compared.

`python -m tests.store.view_contents STORE` prints the digests. The store may be of any version.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import duckdb

VIEWS = (
    *("runs", "events", "activities", "tasks", "signals", "updates", "timers", "children", "markers", "builds"),
    *("reset_points", "problems"),
)


def digest_views(store: Path) -> dict[str, list[str | int]]:
    """Return for each view its columns with their types, the number of its rows, and a digest of them in any order.

    The column `source` is left out: it has a path of this machine.
    """
    found: dict[str, list[str | int]] = {}
    with duckdb.connect(str(store), read_only=True) as connection:
        for view in VIEWS:
            columns = connection.execute(f"DESCRIBE {view}").fetchall()
            kept = [name for name, *_ in columns if (view, name) != ("runs", "source")]
            quoted = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in kept)
            rows = sorted(map(repr, connection.execute(f"SELECT {quoted} FROM {view}").fetchall()))
            digest = hashlib.sha256("\n".join(rows).encode("utf-8", "surrogatepass")).hexdigest()
            found[view] = [", ".join(f"{name} {kind}" for name, kind, *_ in columns), len(rows), digest[:16]]
    return found


if __name__ == "__main__":
    print(json.dumps(digest_views(Path(sys.argv[1])), indent=1))
