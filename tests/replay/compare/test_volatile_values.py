"""Values and keys that a library makes anew at each replay are not compared; what stands beside them is."""

from __future__ import annotations

from typing import Any

import pytest

from replaytool.replay.compare.drift import find_drift, find_volatile_values
from tests.replay.compare.test_drift import decode, pair, payload

RECORDED = {"map": {"desk:8c68d824-964e": "id1", "count": 3}}


def make_arguments(number: str, question: str = "where", key: str = "desk", count: int = 3) -> list[Any]:
    return [payload({"map": {f"{key}:{number}": f"id{number}", "count": count}, "ids": [number]}), payload(question)]


def find_differing(recorded: list[Any], first: list[Any], second: list[Any]) -> list[str]:
    one, other = (pair({"input": recorded}, {"input": produced}) for produced in (first, second))
    return [found.path for found in find_drift([one], decode, volatile=find_volatile_values([[one], [other]], decode))]


def test_a_key_that_each_replay_makes_anew_is_no_drift() -> None:
    assert find_differing(make_arguments("8c68d824"), make_arguments("11112222"), make_arguments("33334444")) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"question": "when"}, "input[1]"),
        ({"count": 4}, "input[0].map.count"),
        ({"key": "shop"}, "input[0].map.desk:8c68d824"),
    ],
)
def test_a_change_beside_it_is_drift(change: dict[str, Any], path: str) -> None:
    produced = [make_arguments(number, **change) for number in ("11112222", "33334444")]
    found = find_differing(make_arguments("8c68d824"), *produced)
    assert any(one.startswith(path) for one in found)


def test_a_change_of_a_value_under_such_a_key_is_drift() -> None:
    recorded, *produced = (
        [payload({"map": {f"desk:{number}": value}})]
        for number, value in (("aaaa1111", "old"), ("bbbb2222", "new"), ("cccc3333", "new"))
    )
    assert find_differing(recorded, *produced) == ["input[0].map.desk:bbbb2222"]


def test_an_argument_that_is_plain_does_not_hide_the_others() -> None:
    recorded, *produced = (
        [payload({"id": number, "prompt": prompt}), payload(None)]
        for number, prompt in (("1", "a"), ("2", "b"), ("3", "b"))
    )
    assert find_differing(recorded, *produced) == ["input[0].prompt"]
