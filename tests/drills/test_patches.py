"""The verdicts on patches equal what the SDK's Replayer says of source that was really edited."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.drills.patch_drill import draw_case, make_project
from tests.drills.patch_takeovers import find_live_truths
from tests.support.dev_server import dev_server

pytestmark = pytest.mark.drill
COMBINATIONS, IN_A_PROJECT, LIVE = 200, 10, 60


@pytest.mark.parametrize("first", range(0, COMBINATIONS, IN_A_PROJECT))
def test_a_verdict_is_what_the_sdk_allows(first: int, tmp_path: Path) -> None:
    faults = list(make_project(range(first, first + IN_A_PROJECT), tmp_path).find_faults())
    assert not faults, "\n".join(faults)


@pytest.mark.server
@pytest.mark.parametrize("first", range(0, LIVE, IN_A_PROJECT))
def test_a_verdict_is_what_a_live_worker_does(first: int, tmp_path: Path) -> None:
    seeds = range(first, first + IN_A_PROJECT)
    with dev_server() as server:
        truths = asyncio.run(find_live_truths(server.address, [draw_case(seed) for seed in seeds], tmp_path))
    histories = {seed: some for seed, (_, some) in truths.items()}
    faults = list(
        make_project(seeds, tmp_path).find_live_faults({seed: one for seed, (one, _) in truths.items()}, histories)
    )
    assert not faults, "\n".join(faults)
