"""Write the tables of docs/sql.md from the comments in the store: `python docs/tools/sql_reference.py`."""

from __future__ import annotations

from pathlib import Path

from replaytool.store import connections as db

TARGET = Path(__file__).parents[1] / "sql.md"
HEAD = """# Query with SQL

The store is one DuckDB file. `replaytool sql` queries it; so does any tool that reads DuckDB files of version 1.5 and
later, such as `duckdb -readonly replaytool.duckdb`. The views below are stable; the tables beneath them are not.

```sql
SELECT activity_type, outcome, count(*) AS times, max(closed_at - started_at) AS longest
FROM activities
GROUP BY ALL
ORDER BY times DESC
```

Which runs did a build touch, and where would a reset undo it?

```sql
SELECT runs.workflow_id, runs.status, reset_points.event_id, reset_points.at
FROM reset_points JOIN runs USING (run_key)
WHERE reset_points.build_id = 'v2'
ORDER BY reset_points.at
```

Recorded values are JSON where the payload is JSON; `->` and `->>` reach into them:

```sql
SELECT run_key, input ->> '$[0].km' AS km FROM signals WHERE name = 'trip'
```

A query may read the store and nothing else. `--allow-files` lifts that, for `COPY … TO`, `ATTACH` and files in `FROM`.
`replaytool sql … -o result.parquet` needs no such permission: the program writes the file, not the query.

"""


def reference() -> str:
    """The whole page."""
    connection = db.connect_in_memory()
    views = connection.execute(
        "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' ORDER BY view_oid"
    ).fetchall()
    return HEAD + "\n".join(_section(connection, name, comment) for name, comment in views)


def _section(connection: db.Connection, view: str, comment: str) -> str:
    columns = connection.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = ? "
        "ORDER BY column_index",
        [view],
    ).fetchall()
    rows = "".join(f"| `{name}` | {text} |\n" for name, text in columns)
    return f"## {view}\n\n{comment}.\n\n| column | meaning |\n|---|---|\n{rows}"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
