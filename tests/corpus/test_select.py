from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest

from replaytool.corpus.select import Things, select_histories
from replaytool.corpus.source_lines import Thing
from tests.conftest import Call
from tests.corpus import mixed_histories as mixed
from tests.support.paths import FIXTURES


def made(*sets: str) -> dict[str, Things]:
    """Histories named a, b, c, … that cover the letters of these texts."""
    return {chr(97 + number): frozenset(("line", one) for one in text) for number, text in enumerate(sets)}


def test_the_one_that_adds_most_comes_first_and_says_what_it_adds() -> None:
    found = select_histories(made("12", "123", "34"), {})
    assert [(one.key, sorted(word for _, word in one.adds)) for one in found.chosen] == [
        ("b", ["1", "2", "3"]),
        ("c", ["4"]),
    ]
    assert not found.lost


def test_what_becomes_idle_by_later_choices_is_left_out() -> None:
    found = select_histories(made("2345", "123", "456"), {})
    assert [one.key for one in found.chosen] == ["b", "c"]
    assert len(found.covered) == 6


def test_a_bound_keeps_the_best_and_says_what_is_lost() -> None:
    found = select_histories(made("12", "123", "45"), {}, 1)
    assert [one.key for one in found.chosen] == ["b"]
    assert found.lost == {("line", "4"), ("line", "5")}


def test_the_shorter_history_is_taken_of_two_that_are_worth_the_same() -> None:
    assert [one.key for one in select_histories(made("12", "12"), {"a": 9, "b": 5}).chosen] == ["b"]
    assert [one.key for one in select_histories(made("12", "12"), {}).chosen] == ["a"]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_and_nobody_is_idle_and_it_is_near_the_smallest(seed: int) -> None:
    chance = random.Random(seed)
    things = {
        str(number): frozenset(("line", str(chance.randrange(12))) for _ in range(chance.randrange(1, 6)))
        for number in range(9)
    }
    found = select_histories(things, {})
    keys = [one.key for one in found.chosen]
    everything = frozenset[Thing]().union(*things.values())
    assert frozenset[Thing]().union(*(things[key] for key in keys)) == everything == found.covered
    for key in keys:
        assert frozenset[Thing]().union(*(things[one] for one in keys if one != key)) != everything
    smallest = next(
        size for size in range(1, 10)
        if any(frozenset[Thing]().union(*(things[key] for key in some)) == everything
               for some in itertools.combinations(things, size))
    )  # fmt: skip
    assert len(keys) <= smallest + 1
    shuffled = list(things.items())
    chance.shuffle(shuffled)
    assert select_histories(dict(shuffled), {}) == found


def reaches(call: Call, folder: Path, code: list[Path]) -> set[tuple[str, ...]]:
    """All that the histories of a folder cover, as another selection of theirs tells."""
    chosen = call("select", folder, *itertools.chain(*(("-w", one) for one in code)), "-o", "again", "--json").json
    return {tuple(thing) for one in chosen["chosen"] for thing in one["added"]}


def drill(call: Call, tmp_path: Path, count: int) -> Any:
    """Choose from so many mixed histories, with their code; what all and what the chosen cover must be the same."""
    folder = mixed.histories(tmp_path / "mixed", count)
    code = mixed.code(tmp_path)
    given = tuple(itertools.chain(*(("-w", one) for one in code)))
    result = call("select", folder, *given, "-o", "kept", "--json")
    assert result.code == 0, result.err
    everything = {tuple(thing) for one in result.json["chosen"] for thing in one["added"]}
    assert result.json["histories"] == count
    assert sum(result.json["covered"].values()) == len(everything)
    kept = sorted((tmp_path / "kept").iterdir())
    assert len(kept) == len(result.json["chosen"])
    assert reaches(call, tmp_path / "kept", code) == everything, "the chosen ones cover what all of them do"
    assert call("select", folder, *given, "-o", "kept", "--json").json == result.json, "the same choice each time"
    return result.json


def test_the_chosen_of_many_cover_what_all_of_them_cover(call: Call, tmp_path: Path) -> None:
    found = drill(call, tmp_path, 60)
    assert len(found["chosen"]) <= 24
    assert found["uncovered"]["files"]


@pytest.mark.drill
def test_a_tenth_of_five_hundred_covers_what_all_of_them_cover(call: Call, tmp_path: Path) -> None:
    found = drill(call, tmp_path, 500)
    assert len(found["chosen"]) <= 50


def test_without_code_shapes_events_and_patches_count(call: Call, tmp_path: Path) -> None:
    files = sorted((FIXTURES / "patches").glob("history*.json"))
    found = call("select", *files, "-o", "kept", "--json").json
    assert found["covered"] | {"event": 0, "shape": 0} == {
        "type": 1, "shape": 0, "event": 0, "patch": 2, "line": 0, "branch": 0,
    }  # fmt: skip
    assert {one["workflow_id"] for one in found["chosen"]} == {"shipping-patched", "shipping-before"}
    assert found["uncovered"]["types_without_code"] == []


def test_the_bound_of_the_command_line_is_told(call: Call) -> None:
    files = sorted((FIXTURES / "patches").glob("history*.json"))
    result = call("select", *files, "-o", "kept", "--max", "1")
    assert "1 of 3 histories" in result.out
    assert "not covered because of --max" in result.out
    assert "1 side of a patch" in result.out


def test_what_is_written_loads_as_the_same_run(call: Call, tmp_path: Path) -> None:
    call("select", *sorted((FIXTURES / "loyalty").glob("history*.json")), "-o", "kept")
    assert call("load", *sorted((FIXTURES / "loyalty").glob("history*.json"))).code == 0
    before = len(call("runs", "--json").json)
    assert call("load", "kept").code == 0
    assert len(call("runs", "--json").json) == before
    assert all(path.name.startswith(("Loyalty_", "Gift_")) for path in (tmp_path / "kept").iterdir())


def test_nothing_to_choose_from(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert call("select", "empty").code == 5
