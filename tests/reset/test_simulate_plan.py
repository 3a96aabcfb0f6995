"""A plan says what becomes of each workflow with the right code, and what it says can be relied on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replaytool import ingest
from replaytool.engines import CodeSpec
from replaytool.model.reset_case import ResetRule
from replaytool.model.reset_plan import ResetItem, ResetPlan, plan_from_text, plan_to_text
from replaytool.reset import planner
from replaytool.reset.simulate_plan import PlanSimulationRequest, simulate_draft, simulate_plan
from replaytool.sources import open_sources
from replaytool.store import Store
from replaytool.workers.pool import WorkerLimits
from tests.reset.support.riders import LOYALTY, call_replaytool

pytestmark = pytest.mark.slow

BUILDS = LOYALTY / "builds"
V3 = (BUILDS / "v3.py").read_text()


@pytest.fixture(scope="module")
def store() -> Store:
    found = Store(None)
    ingest.load_into_store(found, open_sources([str(one) for one in sorted(LOYALTY.glob("history-*.json"))], None))
    return found


def planned(store: Store, *code: str, limits: WorkerLimits | None = None, **more: Any) -> ResetPlan:
    made = planner.draft_plan(store, planner.PlanRequest(ResetRule("build", "v2")))
    wanted = PlanSimulationRequest(CodeSpec(code), limits=limits or WorkerLimits(jobs=1), **more)
    return planner.finish_plan(simulate_draft(store, made, wanted))


def codes(item: ResetItem) -> set[str]:
    return {one.code for one in item.warnings}


def test_a_plan_with_code_tells_the_state_of_each_workflow(store: Store) -> None:
    plan = planned(store, str(BUILDS / "v3.py"), queries=("standing",))
    assert plan_from_text(plan_to_text(plan)) == plan
    found = {item.workflow_id: item for item in plan.items}
    rider = found["loyalty-rider-02"]
    assert rider.prefix_verdict == "ok"
    assert rider.simulation is not None
    assert rider.simulation["state"]["points"] == 250
    assert (rider.simulation["exact"], rider.simulation["assumed"], rider.simulation["stopped"]) == (3, 1, None)
    assert rider.simulation["queries"] == {"standing": {"points": 250, "trips": [3, 4, 5, 6, 7]}}
    assert rider.repeats_inputs == {"score_trip": {"same": 3, "changed": 0}, "send_mail": {"same": 0, "changed": 1}}
    assert "results-by-bad-build" in codes(rider)
    assert "other-activities" in codes(found["loyalty-rider-06"])
    assert plan.code is not None
    assert plan.code["fingerprint"]
    assert all(item.included for item in plan.items)
    again = planned(store, str(BUILDS / "v3.py"), queries=("standing",))
    assert again.items == plan.items
    bad_build = PlanSimulationRequest(CodeSpec((str(BUILDS / "v2.py"),)))
    states = [one.state for one in simulate_plan(store, plan, bad_build).values()]
    assert {state["points"] for state in states if state} == {0}


def test_code_that_does_not_follow_what_is_kept_blocks(store: Store, tmp_path: Path) -> None:
    other = V3.replace("execute_activity(score_trip, km", 'execute_activity("other", km')
    (tmp_path / "other.py").write_text(other)
    plan = planned(store, str(tmp_path / "other.py"))
    by_id = {item.workflow_id: item for item in plan.items}
    assert by_id["loyalty-rider-02"].prefix_verdict == "diverged"
    assert not by_id["loyalty-rider-02"].included
    # Nothing was scored before the point, so the kept part says nothing against it; but what "other" gives is unknown.
    late = by_id["loyalty-rider-08"]
    assert (late.prefix_verdict, late.included) == ("ok", True)
    assert late.simulation is not None
    assert (late.repeats_inputs, by_id["loyalty-rider-02"].repeats_inputs) == ({}, None)
    assert late.simulation["stopped"] == "no recorded result of activity 'other'"


def test_code_that_takes_its_process_along_costs_one_item(store: Store, tmp_path: Path) -> None:
    bad = V3.replace("self.points += points\n", "__import__('os')._exit(3)\n").replace(
        "@workflow.defn\nclass Loyalty", "@workflow.defn(sandboxed=False)\nclass Loyalty"
    )
    (tmp_path / "exits.py").write_text(bad)
    plan = planned(store, str(tmp_path / "exits.py"))
    verdicts = {item.workflow_id: item.prefix_verdict for item in plan.items}
    assert verdicts["loyalty-rider-02"] == "ok"
    assert verdicts["loyalty-rider-03"] == "crashed"
    crashed = next(item for item in plan.items if item.workflow_id == "loyalty-rider-03")
    assert crashed.simulation is not None
    assert "exit code 3" in crashed.simulation["stopped"]
    assert not crashed.included


def test_the_commands_plan_and_simulate(tmp_path: Path) -> None:
    files = sorted(LOYALTY.glob("history-*.json"))
    assert call_replaytool(tmp_path, "load", *files).returncode == 0
    code = ("--workflows", BUILDS / "v3.py", "--query", "standing")
    done = call_replaytool(tmp_path, "reset", "plan", "--build", "v2", *code, "-o", "plan.json")
    assert done.returncode == 0, done.stderr
    assert "Simulated with v3: 7 of 7 complete" in done.stdout
    assert "Simulated inputs of re-executed activities: score_trip " in done.stdout
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["items"][0]["simulation"]["state"]["points"] == 250
    wrong = call_replaytool(tmp_path, "reset", "simulate", "plan.json", "--workflows", BUILDS / "v2.py", "--json")
    assert wrong.returncode == 0, wrong.stderr
    assert {row["state"]["points"] for row in json.loads(wrong.stdout)} == {0}
    one = call_replaytool(tmp_path, "reset", "simulate", "loyalty-rider-08", "--build", "v2", *code, "--json")
    assert [row["status"] for row in json.loads(one.stdout)] == ["Completed"]
    lost = call_replaytool(tmp_path, "reset", "simulate", "no-plan.json", *code)
    assert (lost.returncode, "there is no plan" in lost.stderr) == (2, True)
    nothing = call_replaytool(tmp_path, "reset", "plan", "--build", "v2", "--query", "standing")
    assert (nothing.returncode, "add --workflows" in nothing.stderr) == (2, True)
