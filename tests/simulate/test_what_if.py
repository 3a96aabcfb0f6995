"""What if the world had said something else?"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from replaytool.engines import CodeSpec, Options, load_code
from replaytool.engines.temporal.simulate import simulation as simulate
from replaytool.engines.temporal.simulate.history_edits import apply_edits, encode_payload
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Run
from replaytool.model.simulation import HistoryEdits, Simulation, SimulationRequest
from tests.reset.support.riders import call_replaytool
from tests.support.histories import recorded
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

OPTIONS = Options(sandbox="off")


def going_on(case: str, point: int, edits: HistoryEdits, file: str = "history.json") -> Simulation:
    run = recorded(case, file)
    changed = dataclasses.replace(run, events=apply_edits(run.events, edits, point))
    code = load_code(CodeSpec((str(FIXTURES / case / "workflow.py"),)))
    return simulate.simulate_runs([changed], SimulationRequest(point, reset=False), code, OPTIONS)


def event_of(run: Run, event_type: str, number: int = 0) -> int:
    return [event.event_id for event in run.events if event.event_type == event_type][number]


def names(found: Simulation, side: str) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for change in found.changes if (one := getattr(change, side)) is not None]


def test_a_failure_in_place_of_a_result_takes_the_other_way() -> None:
    run = recorded("saga_with_compensation")
    hotel = event_of(run, "ActivityTaskCompleted", 1)
    found = going_on("saga_with_compensation", 4, HistoryEdits(set=(f"event:{hotel}.failure=full",)))
    assert found.status == "Failed"
    assert ("activity", "cancel_hotel") in names(found, "recorded")
    assert ("activity", "charge_card") in names(found, "recorded")
    assert {name for _, name in names(found, "simulated")} <= {"", "cancel_flight"}


def test_a_signal_that_did_not_come_and_one_that_came_besides() -> None:
    run = recorded("loyalty", "history-rider-01.json")
    signals = [event.event_id for event in run.events if event.event_type == "WorkflowExecutionSignaled"]
    point = 4
    code = load_code(CodeSpec((str(FIXTURES / "loyalty" / "workflow.py"),)))

    def trips(edits: HistoryEdits) -> Any:
        changed = dataclasses.replace(run, events=apply_edits(run.events, edits, point))
        state = simulate.simulate_runs([changed], SimulationRequest(point, reset=False), code, OPTIONS).state
        assert state is not None
        return state["trips"]

    before = trips(HistoryEdits())
    assert trips(HistoryEdits(drop=(f"event:{signals[0]}",))) == before[1:]
    assert trips(HistoryEdits(set=(f"event:{signals[0]}.input[0]=99",))) == [99, *before[1:]]
    assert (
        trips(HistoryEdits(insert=(f"signal:trip@{signals[-1]}=99",))) == before
    )  # nobody knows what that trip scores
    without = trips(HistoryEdits(drop=tuple(f"event:{one}" for one in signals)))
    assert without == []


def test_an_update_and_a_cancel_request_can_come_besides() -> None:
    run = recorded("loyalty", "history-rider-01.json")
    code = load_code(CodeSpec((str(FIXTURES / "loyalty" / "workflow.py"),)))

    def state(edits: HistoryEdits) -> Simulation:
        changed = dataclasses.replace(run, events=apply_edits(run.events, edits, 4))
        return simulate.simulate_runs([changed], SimulationRequest(4, reset=False), code, OPTIONS)

    plain, more = state(HistoryEdits()), state(HistoryEdits(insert=("update:adjust=1000",)))
    assert plain.state is not None
    assert more.state is not None
    assert more.state["points"] == plain.state["points"] + 1000
    assert state(HistoryEdits(insert=("cancel",))).status == "Canceled"


def test_a_value_inside_a_result_is_set_where_it_stands() -> None:
    run = recorded("activities_in_sequence")
    done = event_of(run, "ActivityTaskCompleted")
    whole = {"a": [1, {"b": 2}]}
    first = apply_edits(run.events, HistoryEdits(set=(f"event:{done}.result={json.dumps(whole)}",)), 4)
    inner = apply_edits(first, HistoryEdits(set=(f"event:{done}.result.a[1].b=3",)), 4)
    held = json.loads(inner[done - 1].raw)["activityTaskCompletedEventAttributes"]["result"]["payloads"]
    assert held == [encode_payload({"a": [1, {"b": 3}]})]


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        (HistoryEdits(set=("12.result=1",)), "is not valid"),
        (HistoryEdits(set=("event:3.result=1",)), "before the point"),
        (HistoryEdits(set=("event:900.result=1",)), "has no event 900"),
        (HistoryEdits(set=("event:5.result=1",)), "cannot be edited"),
        (HistoryEdits(drop=("event:5",)), "cannot be edited"),
        (HistoryEdits(drop=("30",)), "is not valid"),
        (HistoryEdits(insert=("signal=5",)), "is not valid"),
        (HistoryEdits(insert=("signal:a@2=5",)), "before the point"),
        (HistoryEdits(set=("event:7.result.x.y=1",)), "nothing at"),
        (HistoryEdits(set=("event:7.details=1",)), "has no details"),
    ],
)
def test_what_cannot_be_changed_is_refused(edits: HistoryEdits, says: str) -> None:
    with pytest.raises(ReplaytoolError, match=says):
        apply_edits(recorded("activities_in_sequence").events, edits, 4)


def test_the_command_tells_what_would_have_been(tmp_path: Path) -> None:
    case = FIXTURES / "saga_with_compensation"
    assert call_replaytool(tmp_path, "load", case / "history.json").returncode == 0
    run = recorded("saga_with_compensation")
    flight = event_of(run, "ActivityTaskCompleted")
    code = ("--workflows", case / "workflow.py")
    done = call_replaytool(tmp_path, "simulate", "trip-7", *code, "--set", f"event:{flight}.failure=no seat", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["from"], found["status"]) == (4, "Failed")
    assert any(one["recorded"] and one["recorded"]["name"] == "book_hotel" for one in found["changes"])
    text = call_replaytool(tmp_path, "simulate", "trip-7", *code, "--from", "4")
    assert text.returncode == 0
    assert "commands as recorded, 0 different; status: Failed" in text.stdout
    dropped = call_replaytool(tmp_path, "simulate", "trip-7", *code, "--drop", f"event:{flight}")
    assert dropped.returncode == 1
    assert "no recorded result of activity 'book_flight'" in dropped.stdout
    nowhere = call_replaytool(tmp_path, "simulate", "trip-7", *code)
    assert (nowhere.returncode, "--from" in nowhere.stderr) == (2, True)
