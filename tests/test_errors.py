"""Error codes: every error has one, every code is used, and the page of the docs lists all."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from replaytool.errors import ErrorCode, ReplaytoolError, append_code, find_error_code

ROOT = Path(__file__).parents[1]
CODED = {"ReplaytoolError", "Unreadable", "SourceUnavailable", "BrokenStream"}
SOURCES = [path for folder in ("replaytool", "formats", "tui") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_error_has_a_code() -> None:
    missing = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        for call in _calls_of_errors(path)
        if not any(argument.arg == "code" for argument in call.keywords)
    ]
    assert missing == []


def test_every_code_is_raised_somewhere() -> None:
    used = set(re.findall(r"\bErrorCode\.([A-Z0-9_]+)", "".join(path.read_text() for path in SOURCES)))
    assert used == {entry.name for entry in ErrorCode}


def test_codes_are_numbered_by_group_and_named_like_it() -> None:
    counted: dict[str, int] = {}
    for entry in ErrorCode:
        group = entry.name.split("_")[0]
        counted[group] = counted.get(group, 0) + 1
        assert entry.code == f"RT-{group}-{counted[group]}"


def test_the_page_lists_all_codes() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    assert page == _load_generator().render_page(), "run python docs/tools/error_reference.py"
    assert re.findall(r"^\| (RT-\S+) \|", page, re.MULTILINE) == [entry.code for entry in ErrorCode]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no workflow code given, and none found in this project", "RT-CODE-"),
        ("there is no store at", "RT-STORE-1"),
        ("this query reaches outside the store", "RT-STORE-"),
        ("not valid JSON:", "RT-FORMAT-5"),
        ("the file is cut off", "RT-FORMAT-4"),
        ("an interrupted check cannot become a baseline", "RT-CHECK-"),
    ],
)
def test_the_page_is_found_by_words_of_a_message(message: str, code: str) -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| RT-") and message in line]
    assert [row for row in rows if row.startswith(f"| {code}")]


def test_most_codes_have_the_words_of_their_messages_on_the_page() -> None:
    said = _load_generator().collect_messages()
    assert len([entry for entry in ErrorCode if not said.get(entry.name)]) <= 13


def test_the_code_ends_the_first_line() -> None:
    assert append_code("bad\nTraceback", ErrorCode.CODE_IMPORT_FAILED) == "bad [RT-CODE-4]\nTraceback"
    error = ReplaytoolError("no store", "make one", code=ErrorCode.STORE_MISSING)
    assert error.format_line() == "no store [RT-STORE-1]; make one"


def test_a_code_is_found_by_its_text() -> None:
    assert find_error_code("RT-STORE-1") is ErrorCode.STORE_MISSING


def _calls_of_errors(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CODED:
            yield node


def _load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("error_reference", ROOT / "docs/tools/error_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
