"""Points and workflows that only a replay can find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.reset.support.riders import LOYALTY, call_replaytool

pytestmark = pytest.mark.slow

BUILDS = LOYALTY / "builds"
BY_BUILD = [text for name in ("v1", "v2", "v3") for text in ("--code", f"{name}={BUILDS / name}.py")]
NEW = (BUILDS / "v3.py").read_text().replace("execute_activity(\n                send_mail", "execute_activity(\n                send_letter").replace("async def send_mail", "async def send_letter")  # fmt: skip  # noqa: E501


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("looking")
    done = call_replaytool(folder, "load", *sorted(LOYALTY.glob("history-*.json")))
    assert done.returncode == 0, done.stderr
    (folder / "new.py").write_text(NEW)
    return folder


def plan(place: Path, *given: str | Path) -> dict[str, Any]:
    done = call_replaytool(place, "reset", "plan", *given, "--json")
    assert done.returncode in (0, 5), done.stderr
    found: dict[str, Any] = json.loads(done.stdout or '{"items": []}')
    return found


def points(found: dict[str, Any]) -> dict[str, int]:
    return {item["workflow_id"]: item["point"]["event_id"] for item in found["items"]}


def test_back_to_just_before_the_state_changed(place: Path) -> None:
    found = plan(place, "--state-changed", "points == 0 and trips", *BY_BUILD)
    by_id = points(found)
    # A worker of v2 replays all trips with its own code, so they are spoiled as soon as it has the run.
    assert by_id["loyalty-rider-02"] == 28
    assert "loyalty-rider-01" not in by_id
    assert found["rule"] == {"state_changed": "points == 0 and trips"}
    reasons = {one["workflow_id"]: one["reason"] for one in found["skipped"]}
    assert "never became true" in reasons["loyalty-rider-01"]


def test_only_workflows_that_hold_it_in_the_end(place: Path) -> None:
    everything = points(plan(place, "--build", "v2"))
    spoiled = points(plan(place, "--build", "v2", "--where-state", "points == 0 and trips", *BY_BUILD))
    assert spoiled
    assert set(spoiled) < set(everything)
    right = points(plan(place, "--build", "v2", "--where-state", "points > 0", "-w", BUILDS / "v3.py"))
    assert "loyalty-rider-02" in right


def test_the_latest_point_that_new_code_follows(place: Path) -> None:
    found = plan(place, "--latest-clean", "-w", "new.py")
    rider = next(item for item in found["items"] if item["workflow_id"] == "loyalty-rider-02")
    # The first mail was asked for by the task at event 34, and new code would ask for a letter.
    assert rider["point"]["event_id"] == 34
    assert rider["prefix_verdict"] == "ok"
    last = plan(place, "--latest-clean", "-w", BUILDS / "v3.py", "--where", "workflow_id = 'loyalty-rider-02'")
    assert points(last)["loyalty-rider-02"] == 60


def test_only_what_the_last_check_said(place: Path) -> None:
    fresh = call_replaytool(place, "reset", "plan", "--last-task", "--only-diverged", "--store", "none.duckdb")
    assert fresh.returncode == 2
    assert call_replaytool(place, "check", "-w", "new.py").returncode == 1
    diverged = points(plan(place, "--first-task", "--only-diverged"))
    assert "loyalty-rider-02" in diverged
    assert "loyalty-rider-04" not in diverged
    assert points(plan(place, "--first-task", "--only-stuck")) == {}
    assert points(plan(place, "--first-task", "--only-diverged", "--skip", "loyalty-rider-02")) != diverged


def test_a_slip_in_an_id_or_in_the_rule_is_told(place: Path) -> None:
    done = call_replaytool(place, "reset", "plan", "--build", "v2", "--skip", "rider-2", "--include", "rider-3")
    assert done.returncode == 0
    assert "--skip rider-2: no loaded workflow" in done.stderr
    assert "--include rider-3: the plan has no workflow" in done.stderr
    done = call_replaytool(place, "reset", "plan", "--build", "v2", "--time", "2h", "--first-task")
    assert (done.returncode, "--build and --time and --first-task cannot be combined" in done.stderr) == (2, True)


def test_no_code_and_no_expression_are_one_error(place: Path) -> None:
    done = call_replaytool(place, "reset", "plan", "--state-changed", "points == 0")
    assert (done.returncode, "no workflow code" in done.stderr) == (2, True)
    done = call_replaytool(place, "reset", "plan", "--state-changed", "points = 0", "-w", BUILDS / "v3.py")
    assert (done.returncode, "is not an expression" in done.stderr) == (2, True)
