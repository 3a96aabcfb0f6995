"""Machine edits of the fixtures' workflows: `--impacted` finds what a full check finds, with fewer replays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.impact_drill import drill

pytestmark = pytest.mark.slow

FEW = ("loyalty", "patches", "saga_with_compensation", "timer_races_signal", "updates")


@pytest.mark.drill
def test_a_few_edits_have_the_same_findings_either_way(tmp_path: Path) -> None:
    told = drill(tmp_path, 3, FEW)
    assert len(told) == 3
    assert [one for one in told if one.differences] == []
    assert sum(one.left_out for one in told) > sum(one.runs for one in told) / 3


@pytest.mark.drill
def test_fifty_edits_have_the_same_findings_either_way(tmp_path: Path) -> None:
    told = drill(tmp_path, 50)
    assert len(told) == 50
    assert [one for one in told if one.differences] == []
    assert len({one.edit.kind for one in told}) > 20
    print(f"left out {sum(one.left_out for one in told)} of {sum(one.runs for one in told)} replays")
