"""What a run becomes from a point on, compared with what it did become."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from replaytool.engines import Code, CodeSpec, Options, load_code
from replaytool.engines.temporal.simulate import simulation as simulate
from replaytool.engines.temporal.simulate.simulation import Decision, DecisionChange
from replaytool.model.history import Run
from replaytool.model.simulation import Simulation, SimulationRequest
from tests.support.histories import expectations, recorded
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

LOYALTY = FIXTURES / "loyalty"
OPTIONS = Options(sandbox="off")
CHAINS = {
    "continue_as_new": ("history-run-1.json", "history-run-2.json", "history-run-3.json"),
    "loyalty": ("history-rider-06-season-1.json", "history-rider-06-season-2.json"),
}
# Not as recorded, and rightly so: what the record does not know, and code that reads the clock or hears of a reset.
OTHERWISE = {
    "encrypted_payloads": "needs its codec",
    "pydantic_payloads": "needs its converter",
    "stuck_on_exception": "the code no longer fails",
    "side_values": "tells the time at which the task began",
    "open_run": "an activity was under way",
    "reset": "what a reset brought back came at another time",
    "loyalty": "its history was made by other builds",
    "continue_as_new": "goes on in another history",
    "cron_runs": "goes on in another history",
    "workflow_retry": "goes on in another history",
}
SAME = sorted(
    folder.name
    for folder in FIXTURES.iterdir()
    if (folder / "workflow.py").exists() and (folder / "verdict.json").exists() and folder.name not in OTHERWISE
)


@cache
def code_of(path: Path) -> Code:
    return load_code(CodeSpec((str(path),)))


def ask(run: Run | list[Run], asked: SimulationRequest, code: Path | None = None) -> Simulation:
    runs = [run] if isinstance(run, Run) else run
    return simulate.simulate_runs(runs, asked, code_of(code or LOYALTY / "builds" / "v3.py"), OPTIONS)


def points(run: Run) -> list[int]:
    return [event.event_id for event in run.events if event.event_type == "WorkflowTaskCompleted"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", SAME)
def test_with_nothing_changed_a_run_goes_on_as_it_did(case: str) -> None:
    code = FIXTURES / case / "workflow.py"
    for file in expectations(case)["recorded_by"]:
        run = recorded(case, file)
        if code_of(code).workflow_class(run.workflow_type) is None:
            continue
        for point in points(run):
            found = ask(run, SimulationRequest(point, reset=False, prefix=False), code)
            if case == "patches" and file == "history-before.json" and point == 4:
                assert found.stopped == "no recorded result of activity 'ship_by_bike'"
                continue
            assert (found.changes, found.stopped) == ([], None), (file, point)


def test_a_chain_of_runs_goes_on_as_it_did() -> None:
    runs = [recorded("continue_as_new", file) for file in CHAINS["continue_as_new"]]
    found = ask(runs, SimulationRequest(4, reset=False), FIXTURES / "continue_as_new" / "workflow.py")
    assert (found.stopped, found.changes, found.runs, found.status) == (None, [], 3, "Completed")


@pytest.mark.parametrize(
    ("rider", "point", "state", "exact", "assumed"),
    [
        ("rider-02", 28, {"points": 250, "trips": [3, 4, 5, 6, 7]}, 3, 1),
        ("rider-04", 27, {"points": 100, "trips": [8, 2]}, 1, 0),
        ("rider-05", 31, {"points": 120, "trips": [9, 1, 2], "gifts": ["a bell for rider-05"]}, 3, 0),
        ("rider-08", 4, {"points": 260, "trips": [5, 6, 7, 8], "left": True}, 4, 1),
    ],
)
def test_the_right_code_makes_the_riders_right(
    rider: str, point: int, state: dict[str, Any], exact: int, assumed: int
) -> None:
    found = ask(recorded("loyalty", f"history-{rider}.json"), SimulationRequest(point, queries=("standing",)))
    assert found.state == {"asked": [], "gifts": [], "left": False} | state
    assert (found.exact, found.assumed, found.stopped, found.prefix_verdict) == (exact, assumed, None, "ok")
    assert found.queries["standing"] == {"points": state["points"], "trips": state["trips"]}


def test_the_bad_code_makes_them_wrong_again() -> None:
    found = ask(recorded("loyalty", "history-rider-02.json"), SimulationRequest(28), LOYALTY / "builds" / "v2.py")
    assert found.state is not None
    assert found.state["points"] == 0


def test_updates_that_come_back_may_answer_differently() -> None:
    found = ask(recorded("loyalty", "history-rider-03.json"), SimulationRequest(23))
    assert found.updates["adjust-20"] == {"recorded": 20, "simulated": 150}
    without = ask(recorded("loyalty", "history-rider-03.json"), SimulationRequest(23, exclude=("updates",)))
    assert without.updates == {}
    assert found.state is not None
    assert without.state is not None
    assert found.state["points"] - without.state["points"] == 70


def test_what_a_workflow_drops_when_it_continues_as_new_is_seen() -> None:
    runs = [recorded("loyalty", file) for file in CHAINS["loyalty"]]
    found = ask(runs, SimulationRequest(18))
    assert found.state is not None
    assert (found.runs, found.state["trips"], found.again) == (2, [5, 5], {"score_trip": 1})


def _as_reset(case: str, base: str, new: str) -> tuple[Simulation, Simulation]:
    """The base simulated, and the run that a real server made of it at the same point."""
    run, real = recorded(case, base), recorded(case, new)
    reset = [
        event for event in real.events if event.event_type == "WorkflowTaskFailed" and b"RESET_WORKFLOW" in event.raw
    ][-1]
    code = FIXTURES / case / "workflow.py"
    simulated = ask(run, SimulationRequest(reset.event_id), code)
    last = points(real)[-1]
    done = ask(real, SimulationRequest(last, reset=False), code)
    return simulated, done


@pytest.mark.parametrize(
    ("case", "base", "new"),
    [
        ("reset", "history-base.json", "history-reset.json"),
        ("reset_twice", "history-base.json", "history-reset-1.json"),
        ("reset_twice", "history-reset-1.json", "history-reset-2.json"),
    ],
)
def test_a_simulated_reset_is_what_the_server_did(case: str, base: str, new: str) -> None:
    simulated, done = _as_reset(case, base, new)
    assert simulated.stopped is None
    assert simulated.state is not None
    assert done.state is not None
    # The bad build's activity wrote notes backwards, and its results are all that is recorded; what was sent to the
    # new run later is not in the base.
    notes = [sorted(note) for note in simulated.state["notes"]]
    assert notes
    assert notes == [sorted(note) for note in done.state["notes"]][: len(notes)]


def test_nothing_is_invented() -> None:
    run = recorded("open_run")
    found = ask(run, SimulationRequest(points(run)[0]), FIXTURES / "open_run" / "workflow.py")
    assert found.stopped is not None
    assert "no recorded result of activity 'visit'" in found.stopped


def test_a_kept_part_that_does_not_replay_is_no_beginning() -> None:
    run = recorded("activities_in_sequence")
    code = FIXTURES / "activities_in_sequence" / "changed_activity_renamed.py"
    found = ask(run, SimulationRequest(points(run)[-1]), code)
    assert found.prefix_verdict == "diverged"
    assert found.state is None
    assert found.stopped is not None


def test_other_input_gets_an_assumed_answer() -> None:
    run = recorded("activities_in_sequence")
    found = ask(run, SimulationRequest(points(run)[0]), FIXTURES / "activities_in_sequence" / "changed_argument.py")
    assert found.assumed == 1
    assert found.stopped is None


def test_a_child_in_the_way_is_refused_as_the_server_would() -> None:
    run = recorded("loyalty", "history-rider-05.json")
    gift = next(event for event in run.events if event.event_type == "StartChildWorkflowExecutionInitiated")
    point = max(one for one in points(run) if one < gift.event_id)
    found = ask(run, SimulationRequest(point, children={"gift-rider-05": "Running"}))
    assert found.status == "Failed"
    assert "gift" in str(found.result) or "already" in str(found.result).lower()
    assert ask(run, SimulationRequest(point, children={"gift-rider-05": "Completed"})).status == "Running"


def test_results_that_the_bad_build_gave_are_named() -> None:
    found, _ = _as_reset("reset", "history-base.json", "history-reset.json")
    assert found.suspect == {}
    run = recorded("reset", "history-base.json")
    point = next(one.event_id for one in recorded("reset", "history-reset.json").events if b"RESET_WORKFLOW" in one.raw)
    asked = SimulationRequest(point, bad_builds=("v2",))
    assert ask(run, asked, FIXTURES / "reset" / "workflow.py").suspect == {"write_down": 2}


def test_what_hangs_on_the_new_run_id_is_said_to_vary() -> None:
    run = recorded("side_values")
    found = ask(run, SimulationRequest(points(run)[0]), FIXTURES / "side_values" / "workflow.py")
    assert isinstance(found.varies, list)


def test_decisions_that_change_are_told_side_by_side() -> None:
    run = recorded("activities_in_sequence")
    code = FIXTURES / "activities_in_sequence" / "changed_argument.py"
    found = ask(run, SimulationRequest(points(run)[0], reset=False), code)
    assert found.same >= 1
    assert all(isinstance(one, DecisionChange) for one in found.changes)
    assert any(isinstance(one.simulated, Decision) and one.simulated.kind == "activity" for one in found.changes)


def test_an_answer_survives_the_way_between_processes() -> None:
    import msgspec

    found = ask(recorded("loyalty", "history-rider-02.json"), SimulationRequest(28))
    again = msgspec.json.decode(msgspec.json.encode(found), type=Simulation)
    assert again == dataclasses.replace(found)
