"""Each name means one thing in the whole product."""

from __future__ import annotations

import pytest

from tests.house.name_figures import NameFigures, measure_names
from tests.house.source_tree import read_sources
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def figures() -> NameFigures:
    return measure_names(read_sources(ROOT))


def test_no_top_function_name_stands_in_three_modules(figures: NameFigures) -> None:
    assert figures.shared_functions == {}


def test_no_class_name_stands_in_two_modules(figures: NameFigures) -> None:
    assert figures.shared_classes == {}
