"""Who may import what: the parts that import-linter does not hold, and the number of its layers."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence

import pytest

from tests.house.import_graph import When, find_circles, find_edges, find_imports
from tests.house.source_tree import SourceFile, read_sources
from tests.support.paths import ROOT

MOST_LAYERS = 13
ALWAYS: Sequence[When] = ("at import", "in a function", "for types")


@pytest.fixture(scope="module")
def sources() -> list[SourceFile]:
    return read_sources(ROOT)


def find_foreign_imports(sources: Collection[SourceFile], library: str, homes: tuple[str, ...]) -> list[str]:
    """Return the places outside of these folders that import a library, lazily or not."""
    return [
        f"{source.path}:{found.line}"
        for source in sources
        if not source.path.startswith(homes)
        for found in find_imports(source)
        if found.module.partition(".")[0] == library
    ]


def test_only_an_engine_and_its_format_import_the_sdk(sources: list[SourceFile]) -> None:
    assert find_foreign_imports(sources, "temporalio", ("replaytool/engines/temporal/", "formats/temporal/")) == []


@pytest.mark.parametrize(("library", "home"), [("duckdb", "replaytool/store/"), ("textual", "tui/")])
def test_only_its_folder_imports_a_library(sources: list[SourceFile], library: str, home: str) -> None:
    assert find_foreign_imports(sources, library, (home,)) == []


def test_no_modules_import_each_other_as_they_load(sources: list[SourceFile]) -> None:
    assert find_circles(find_edges(sources, ["at import"])) == []


def test_no_modules_know_each_other(sources: list[SourceFile]) -> None:
    assert find_circles(find_edges(sources, ALWAYS)) == []


def test_the_import_contract_has_few_layers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert layers
    assert max(map(len, layers)) <= MOST_LAYERS
