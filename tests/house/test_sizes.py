"""A file or function that grows too long is cut while it is small."""

from __future__ import annotations

import pytest

from tests.house.source_tree import SourceFile, count_lines, read_sources
from tests.support.paths import ROOT

FILE_LINES = 500
FUNCTION_LINES = 60


@pytest.fixture(scope="module")
def sources() -> list[SourceFile]:
    return read_sources(ROOT, ("replaytool", "formats", "tui", "benchmarks", "docs", "fixtures", "tests"))


def test_no_file_is_too_long(sources: list[SourceFile]) -> None:
    assert {source.path: source.line_count for source in sources if source.line_count > FILE_LINES} == {}


def test_no_function_is_too_long(sources: list[SourceFile]) -> None:
    long = {
        f"{source.path}:{function.lineno} {function.name}": length
        for source in sources
        for function in source.find_functions()
        if (length := count_lines(function)) > FUNCTION_LINES
    }
    assert long == {}
