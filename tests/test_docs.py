"""The documentation is true: its reference is the real one, and what it names exists."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import duckdb
import pytest

from replaytool.cli import COMMANDS
from replaytool.config import Settings
from replaytool.formats import list_formats
from replaytool.store import connections as db
from tests.support.paths import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def test_the_cli_reference_is_what_help_says() -> None:
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "docs" / "tools" / "cli_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "cli.md").read_text() == module.reference(), "run: python docs/tools/cli_reference.py"


def test_every_format_and_command_is_documented() -> None:
    formats = (ROOT / "docs" / "formats.md").read_text()
    assert [one.name for one in list_formats() if f"`{one.name}`" not in formats] == []
    guide = (ROOT / "docs" / "guide.md").read_text()
    assert [name for name in COMMANDS if f"replaytool {name}" not in guide] == []


def test_every_key_of_the_configuration_is_documented() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text()
    names = [one.name for one in fields(Settings) if one.name != "folder"]
    assert [name for name in names if f"| `{name}` |" not in guide] == []


def test_the_sql_page_lists_every_view_and_column_with_its_comment() -> None:
    page = (ROOT / "docs" / "sql.md").read_text()
    connection = db.connect_in_memory()
    columns = connection.execute(
        "SELECT table_name, column_name, c.comment FROM duckdb_columns() c JOIN duckdb_views() v "
        "ON v.view_name = c.table_name WHERE NOT v.internal AND v.schema_name = 'main' AND c.schema_name = 'main'"
    ).fetchall()
    assert len(columns) > 80
    missing = [f"{table}.{name}" for table, name, comment in columns if f"| `{name}` | {comment} |" not in page]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(("picture", "shows"), [("check.svg", "diverged:"), ("debugger.svg", "code/v2.py:67")])
def test_pictures_show_the_program_and_nothing_of_the_machine_that_made_them(picture: str, shows: str) -> None:
    text = (ROOT / "docs" / "pictures" / picture).read_text()
    assert shows in text, "run: python docs/tools/pictures.py"
    assert re.findall(r"/tmp|/home|/root|/Users", text) == []
    assert f"docs/pictures/{picture}" in (ROOT / "README.md").read_text()


SQL_BLOCKS = [
    (page.name, block) for page in PAGES for block in re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)
]


@pytest.mark.parametrize(("page", "block"), SQL_BLOCKS)
def test_sql_in_the_documentation_runs(page: str, block: str) -> None:
    connection = db.connect_in_memory()
    try:
        connection.execute(block)
    except duckdb.Error as error:
        pytest.fail(f"{page}: {error}")
