"""`replaytool find` answers for all runs what `debug --find` answers for one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Call
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

BUILDS = FIXTURES / "loyalty" / "builds"
CODES = [text for name in ("v1", "v2", "v3") for text in ("--code", f"{name}={BUILDS / name}.py")]
SPOILED = "points == 0 and trips"


@pytest.fixture
def riders(call: Call) -> Call:
    assert call("load", *sorted((FIXTURES / "loyalty").glob("history-*.json"))).code == 0
    return call


def test_it_finds_in_all_runs_what_the_debugger_finds_in_one(riders: Call) -> None:
    told = riders("find", SPOILED, *CODES, "--json")
    assert told.code == 0, told.err
    found = {one["run_key"]: one for one in told.json["matches"]}
    assert (told.json["runs"], len(found)) == (11, 7)
    for run in riders("runs", "--json").json:
        alone: Any = riders("debug", run["run_key"], *CODES, "--find", SPOILED, "--json").json["find"]
        match = found.get(run["run_key"])
        assert (match and match["event_id"]) == alone["event_id"], run["workflow_id"]
        if match:
            site = alone["call_site"]
            assert (match["build_id"], match["file"], match["line"]) == (alone["build_id"], site["file"], site["line"])
    second = next(one for one in found.values() if one["workflow_id"] == "loyalty-rider-02")
    assert (second["event_id"], second["before"], second["after"]) == (28, {"points": 70}, {"points": 0})
    text = riders("find", SPOILED, *CODES).out
    assert text.startswith(f"{SPOILED}: true in 7 of 11 runs\n  5 runs: build v2, ")


def test_what_nobody_knows_is_listed(riders: Call) -> None:
    told = riders("find", SPOILED, "--code", f"v1={BUILDS / 'v1.py'}", "--json")
    assert (told.code, told.json["matches"]) == (1, [])
    why = {one["workflow_id"]: one["why"] for one in told.json["not_replayed"]}
    assert "no code for v2, v3" in why["loyalty-rider-02"]
    assert "loyalty-rider-01" not in why, "all its tasks have code, and it never held"
    assert why["gift-rider-05"] == "there is no name 'points' here"


def test_runs_are_chosen_and_slips_are_one_error(riders: Call) -> None:
    one = riders("find", SPOILED, "loyalty-rider-02", *CODES, "--json").json
    assert (one["runs"], [match["event_id"] for match in one["matches"]]) == (1, [28])
    some = riders("find", SPOILED, "--where", "workflow_id LIKE '%rider-06%'", *CODES, "--json").json
    assert (some["runs"], len(some["matches"])) == (2, 2)
    assert riders("find", SPOILED, "--where", "event_count > 10000", *CODES).code in (2, 5)
    for wrong in (["find", "points ===", *CODES], ["find", "__import__('os')", *CODES]):
        told = riders(*wrong)
        assert (told.code, "Traceback" in told.err) == (2, False), told.out
