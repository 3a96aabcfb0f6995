"""The tables and views of a store: create them, and bring an older store up to date.

An engine may compute its steps from events in SQL. Its file `engines/NAME/views.sql` then creates views in the schema
`engine_NAME`, each with the columns of the public view of the same name. `views.sql` unites them where it says
`engines.VIEW`. The steps of all other engines are rows of the table `step`, so an engine need not bring SQL.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from pathlib import Path

import duckdb

from replaytool.errors import ErrorCode, ReplaytoolError

FORMAT_VERSION = 2
_UPGRADABLE = ("1",)
STORAGE = "v1.5.0"  # so that a DuckDB of the last year opens the file too
_ENGINE_VIEW = re.compile(r"^CREATE VIEW engine_\w+\.(\w+)", re.MULTILINE)
_UNION = re.compile(r"\bFROM engines\.(\w+)")


@cache
def engines_with_views() -> dict[str, str]:
    """Return the views of each engine that computes its steps in SQL, by the engine's name."""
    folders = (resources.files("replaytool") / "engines").iterdir()
    files = {folder.name: folder / "views.sql" for folder in folders}
    return {name: files[name].read_text(encoding="utf-8") for name in sorted(files) if files[name].is_file()}


def has_engine_view(engine: str, view: str) -> bool:
    """Return whether the engine's `views.sql` creates a view of this name."""
    return view in _ENGINE_VIEW.findall(engines_with_views().get(engine, ""))


def create_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Create all tables and views in an empty database."""
    connection.begin()
    _create_tables_and_views(connection)
    meta = {"format_version": str(FORMAT_VERSION), "storage": STORAGE, "written_by": f"DuckDB {duckdb.__version__}"}
    for key, value in meta.items():
        connection.execute("INSERT INTO meta VALUES (?, ?)", [key, value])
    connection.commit()
    connection.execute("PRAGMA enable_optimizer")


def upgrade_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Rebuild the views of an older store, and create the tables that it lacks."""
    connection.begin()
    for name, schema in connection.execute(
        "SELECT view_name, schema_name FROM duckdb_views() WHERE NOT internal AND database_name = current_database()"
    ).fetchall():
        connection.execute(f'DROP VIEW "{schema}"."{name}"')
    for macro in ("payload_value", "payload_values"):
        connection.execute(f"DROP MACRO IF EXISTS {macro}")
    for engine in engines_with_views():
        connection.execute(f"DROP SCHEMA IF EXISTS engine_{engine} CASCADE")
    _create_tables_and_views(connection)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", [str(FORMAT_VERSION)])
    connection.commit()
    connection.execute("PRAGMA enable_optimizer")


def _create_tables_and_views(connection: duckdb.DuckDBPyConnection) -> None:
    # The optimizer takes long over these many statements, which only name things.
    connection.execute("PRAGMA disable_optimizer")
    connection.execute(_read_own_file("schema.sql"))
    for engine, views in engines_with_views().items():
        connection.execute(f"CREATE SCHEMA engine_{engine}")
        connection.execute(views)
    connection.execute(_UNION.sub(_unite_engines, _read_own_file("views.sql")))
    connection.execute(_read_own_file("comments.sql"))


def _read_own_file(name: str) -> str:
    return (resources.files("replaytool.store") / name).read_text(encoding="utf-8")


def _unite_engines(found: re.Match[str]) -> str:
    """Return the union of one view over all engines that have it."""
    view = found[1]
    parts = [f"FROM engine_{engine}.{view}" for engine in engines_with_views() if has_engine_view(engine, view)]
    assert parts, f"no engine has the view {view}"
    return f"FROM ({' UNION ALL BY NAME '.join(parts)})"


def is_upgradable(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether this is a store of an older format that `upgrade_schema` brings up to date."""
    return _read_version(connection) in _UPGRADABLE


def check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise ReplaytoolError if this is no store, or one of another format."""
    found = _read_version(connection)
    if found is None:
        raise ReplaytoolError(
            f"{path} is a DuckDB file, but no store of replaytool",
            "name another with --store",
            code=ErrorCode.STORE_FOREIGN,
        )
    if found == str(FORMAT_VERSION):
        return
    if found.isdigit() and int(found) > FORMAT_VERSION:
        raise ReplaytoolError(
            f"the store {path} is of format {found}, made by a newer replaytool",
            "upgrade replaytool",
            code=ErrorCode.STORE_NEWER,
        )
    raise ReplaytoolError(
        f"the store {path} is of format {found}; this replaytool reads format {FORMAT_VERSION}",
        "load the histories into a new store: replaytool --store NEW load PATH…",
        code=ErrorCode.STORE_OLDER,
    )


def _read_version(connection: duckdb.DuckDBPyConnection) -> str | None:
    try:
        rows = connection.execute("SELECT value FROM meta WHERE key = 'format_version'").fetchall()
    except duckdb.CatalogException:
        return None
    return str(rows[0][0]) if rows else None
