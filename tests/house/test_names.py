"""Each name means one thing in the whole product."""

from __future__ import annotations

import pytest

from tests.house.name_figures import NameFigures, measure_names
from tests.house.source_tree import read_sources
from tests.support.paths import ROOT

# What is still to be renamed. These numbers only go down, and end at 0.
SHARED_FUNCTIONS_LEFT = 78
SHARED_CLASSES_LEFT = 51


@pytest.fixture(scope="module")
def figures() -> NameFigures:
    return measure_names(read_sources(ROOT))


def test_no_top_function_name_stands_in_three_modules(figures: NameFigures) -> None:
    assert len(figures.shared_functions) <= SHARED_FUNCTIONS_LEFT, figures.shared_functions


def test_no_class_name_stands_in_two_modules(figures: NameFigures) -> None:
    assert len(figures.shared_classes) <= SHARED_CLASSES_LEFT, figures.shared_classes
