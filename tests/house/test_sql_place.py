"""SQL stands only in the store, and in an engine's own views: everything else asks the store by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.source_tree import SourceFile, read_sources
from tests.support.paths import ROOT

HOME = "replaytool/store/"
SHOWN_TO_USERS = {
    "replaytool/error_codes.py": "SELECT * FROM runs",
    "replaytool/session/__init__.py": "SELECT * FROM runs",
    "tui/screens/sql.py": "SELECT workflow_type, status, count(*) AS runs",
}
"""Examples of queries that a user may write. Docstrings may hold some too: they are the help of a command."""
_CREATES = re.compile(r"^CREATE (?:VIEW|TABLE)(?: IF NOT EXISTS)? (\w+)", re.MULTILINE)
_HOLDERS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.fixture(scope="module")
def query() -> re.Pattern[str]:
    """Match what a query of the store holds, also the simplest one, `FROM runs`."""
    texts = [(ROOT / HOME / name).read_text(encoding="utf-8") for name in ("schema.sql", "views.sql")]
    names = "|".join(name for text in texts for name in _CREATES.findall(text))
    return re.compile(rf"\bSELECT\s|\bFROM\s+(?:engine_\w+\.)?(?:{names})\b")


def test_sql_stands_in_the_store(query: re.Pattern[str]) -> None:
    places = [
        f"{source.path}:{node.lineno}: {text[:60]!r}"
        for source in read_sources(ROOT)
        if not source.path.startswith(HOME)
        for node, text in _find_texts(source)
        if query.search(text) and SHOWN_TO_USERS.get(source.path, "\0") not in text
    ]
    assert places == []


def test_only_the_store_runs_queries_of_ours() -> None:
    places = [
        f"{source.path}:{node.lineno}"
        for source in read_sources(ROOT)
        if not source.path.startswith(HOME) and "query_rows" in source.text
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr == "query_rows"
    ]
    assert places == []


@pytest.mark.parametrize("text", ["run_key IN (SELECT run_key FROM x)", "FROM runs", "x JOIN (FROM engine_a.steps)"])
def test_a_query_is_known(query: re.Pattern[str], text: str) -> None:
    assert query.search(text)
    assert not query.search("select a run from runs")


def _find_texts(source: SourceFile) -> Iterator[tuple[ast.Constant, str]]:
    """Yield the string constants of a file, without docstrings."""
    if "SELECT" not in source.text and "FROM" not in source.text:
        return
    docstrings = {
        id(first.value)
        for node in ast.walk(source.tree)
        if isinstance(node, _HOLDERS) and node.body and isinstance(first := node.body[0], ast.Expr)
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node, node.value
