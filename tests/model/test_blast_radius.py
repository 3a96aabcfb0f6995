from __future__ import annotations

import pytest

from replaytool.check.causes import find_causes
from replaytool.engines.temporal.events.deployment import find_pinned_build
from replaytool.model.blast_radius import RunImpact, measure_blast_radius
from replaytool.model.verdict import CheckedRun, CheckReport, CodeInfo, Failure, Subject, Verdict
from tests.conftest import Call
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

PINNED = FIXTURES / "versioning_pinned"


def test_the_sentence_counts_runs_open_ones_and_causes() -> None:
    broken = [RunImpact("Order", "a timer", number < 298, True, False) for number in range(312)]
    fine = [RunImpact("Order", "a timer", True, False, False)] * 3868
    radius = measure_blast_radius([*broken, *fine, RunImpact("Order", "", False, True, True)], 1)
    more = "(298 still open, 1 cause); not counted: 1 run pinned to another build"
    assert radius.sentence() == f"312 of 4,180 runs fail with this code {more}"
    assert radius.sentence(against_base=True) == f"this change breaks 312 of 4,180 runs {more}"
    (share,) = radius.by_wait
    assert (share.name, share.runs, share.broken) == ("a timer", 298 + 3868, 298)


def test_groups_with_most_broken_runs_come_first() -> None:
    stands = [RunImpact("A", "x", True, False, False)] * 5 + [RunImpact("B", "y", True, True, False)]
    radius = measure_blast_radius(stands, 1)
    assert [share.name for share in radius.by_type] == ["B", "A"]
    assert measure_blast_radius([], 0).sentence() == "0 of 0 runs fail with this code"
    assert measure_blast_radius([], 0).sentence(against_base=True) == "this change breaks none of 0 runs"


def test_who_is_pinned() -> None:
    task = {"versioningBehavior": "VERSIONING_BEHAVIOR_PINNED", "deploymentVersion": {"buildId": "v1"}}
    assert find_pinned_build(task, {}) == "v1"
    assert find_pinned_build({**task, "versioningBehavior": "VERSIONING_BEHAVIOR_AUTO_UPGRADE"}, {}) is None
    assert find_pinned_build(task, {"versioningOverride": {"autoUpgrade": True}}) is None
    assert find_pinned_build(task, {"unsetVersioningOverride": True}) == "v1"
    assert find_pinned_build({}, {}) is None


def test_a_pinned_run_is_counted_apart_and_fails_nothing_until_it_is_asked_in() -> None:
    broken = Verdict("failed", "x", failure=Failure(3, "E", "m"))
    runs = [CheckedRun(Subject("k", status="Running", pinned_to="v1"), broken), CheckedRun(Subject("l"), Verdict("ok"))]
    apart = CheckReport(CodeInfo(), runs)
    assert not any(apart.is_failing(one) for one in runs)
    assert (apart.count_blast_radius().pinned, apart.count_blast_radius().runs) == (1, 1)
    asked = CheckReport(CodeInfo(), runs, include_pinned=True)
    assert [asked.is_failing(one) for one in runs] == [True, False]
    assert (asked.count_blast_radius().pinned, asked.count_blast_radius().broken_open) == (0, 1)


def test_only_what_breaks_is_a_cause() -> None:
    broken = Verdict("failed", "x", failure=Failure(3, "E", "m"))
    told = (("a", "A", None, False), ("b", "B", "v1", False), ("c", "C", None, True), ("d", "D", "v1", True))
    runs = [
        CheckedRun(Subject(key, workflow_type=kind, pinned_to=pin), broken, known=known)
        for key, kind, pin, known in told
    ]
    runs.append(CheckedRun(Subject("e"), Verdict("unverified", "no code")))
    sentence = CheckReport(CodeInfo(), runs, find_causes(runs)).blast_radius_sentence()
    assert sentence.startswith("1 of 3 runs fails with this code (1 cause);")
    assert CheckReport(CodeInfo(), runs, find_causes(runs), include_pinned=True).count_blast_radius().causes == 2


def test_pins_and_waits_are_read_from_real_histories(call: Call) -> None:
    def runs(case: str) -> list[dict[str, object]]:
        case_folder = FIXTURES / case
        histories = sorted(case_folder.glob("history*.json"))
        found = call("check", *histories, "-w", case_folder / "workflow.py", "--format", "json").json
        return list(found["runs"])

    assert [run["pinned_to"] for run in runs("versioning_pinned")] == ["v1"]
    assert [run["pinned_to"] for run in runs("versioning_override")] == [None], "somebody moves it between builds"
    assert [run["pinned_to"] for run in runs("versioning_auto_upgrade")] == [None]
    (tour,) = runs("open_run")
    assert (tour["status"], tour["waits_for"]) == ("Running", "a signal, an update or a condition")
    (stuck,) = runs("stuck_on_exception")
    assert stuck["waits_for"] == "a workflow task"
    parent = [run for run in runs("child_abandoned") if run["status"] != "Running"]
    assert {run["waits_for"] for run in parent} <= {""}


def test_pinned_runs_do_not_fail_a_check_of_the_command_line(call: Call) -> None:
    arguments = ("check", PINNED / "history.json", "-w", FIXTURES / "timers" / "workflow.py")
    result = call(*arguments)
    assert result.code == 0
    assert "not counted: 1 run pinned to another build" in result.out
    assert call(*arguments, "--include-pinned").code == 1
