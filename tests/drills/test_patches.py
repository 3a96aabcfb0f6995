"""The verdicts on patches equal what the SDK's Replayer says of source that was really edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.patch_drill import make_project

pytestmark = pytest.mark.drill
COMBINATIONS, IN_A_PROJECT = 200, 10


@pytest.mark.parametrize("first", range(0, COMBINATIONS, IN_A_PROJECT))
def test_a_verdict_is_what_the_sdk_allows(first: int, tmp_path: Path) -> None:
    faults = list(make_project(range(first, first + IN_A_PROJECT), tmp_path).find_faults())
    assert not faults, "\n".join(faults)
