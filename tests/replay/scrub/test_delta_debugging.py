from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from replaytool.replay.scrub.delta_debugging import find_fewest


@pytest.mark.parametrize("seed", range(30))
def test_what_is_found_is_enough_and_needed(seed: int) -> None:
    chance = random.Random(seed)
    items = list(range(chance.randrange(1, 40)))
    needed = set(chance.sample(items, chance.randrange(len(items) + 1)))
    tries = 0

    def enough(some: Sequence[int]) -> bool:
        nonlocal tries
        tries += 1
        return needed <= set(some)

    assert find_fewest(items, enough) == sorted(needed)
    assert tries <= len(items) ** 2 + 7 * len(items) + 2


def test_one_of_two_ways_is_enough() -> None:
    found = find_fewest(range(10), lambda some: {1, 2} <= set(some) or 7 in some)
    assert found in ([7], [1, 2])
