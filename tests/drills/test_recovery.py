"""The recovery drill, in full on demand and in a short form always."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.drills.recovery_drill import killed, recovery

pytestmark = pytest.mark.server


def test_an_apply_that_is_killed_resets_each_workflow_once(tmp_path: Path) -> None:
    done = asyncio.run(killed(tmp_path, 8, kills=2, restarts=1))
    assert (done["reset"], done["restarts"]) == (6, 1)


@pytest.mark.drill
def test_two_hundred_riders_are_right_again(tmp_path: Path) -> None:
    done = asyncio.run(recovery(tmp_path, 200))
    print(done)
    assert done["reset"] == 150


@pytest.mark.drill
def test_forty_kills_and_two_restarts_reset_each_workflow_once(tmp_path: Path) -> None:
    done = asyncio.run(killed(tmp_path, 200, kills=40, restarts=2))
    print(done)
    assert (done["reset"], done["restarts"]) == (150, 2)
