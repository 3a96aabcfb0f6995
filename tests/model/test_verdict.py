"""The values go to JSON and come back, and the JSON is the one that the design promises."""

from __future__ import annotations

import json

from replaytool.model.verdict import (
    WORDS,
    CallSite,
    Cause,
    CheckedRun,
    CheckReport,
    CodeInfo,
    Command,
    Divergence,
    Drift,
    ExpectedEvent,
    Failure,
    Hazard,
    MatchedPair,
    ReplayStep,
    Subject,
    Verdict,
    to_report_json,
    verdict_from_json,
)

SITE = CallSite("wf.py", 29, "Loyalty.run", (CallSite("wf.py", 12, "Loyalty.score"),))
EXPECTED = ExpectedEvent(11, "ActivityTaskScheduled", "activity", "charge", {"input": [3]})
ACTUAL = Command("timer", "1", {"startToFireTimeout": "10s"}, SITE)
DIVERGED = Verdict(
    "diverged",
    reason="expected activity charge",
    confirmed_by="sdk",
    divergence=Divergence(11, EXPECTED, ACTUAL, (), SITE, 9, (MatchedPair(EXPECTED, ACTUAL),), "guard it"),
    drift=(Drift(5, "input[0].km", 3, {"km": 4}, SITE),),
    hazards=(Hazard("socket.connect", SITE, "localhost:80", True),),
    next=(ACTUAL,),
    failure=Failure(12, "ValueError", "no", SITE),
    notes=("blind",),
    seconds=0.25,
)


def test_verdict_survives_json() -> None:
    assert verdict_from_json(json.loads(json.dumps(to_report_json(DIVERGED)))) == DIVERGED


def test_what_stands_beside_a_verdict_is_passed_over() -> None:
    row = to_report_json(CheckedRun(Subject("k", workflow_id="w"), DIVERGED))
    assert row["run_key"] == "k"
    assert verdict_from_json(row) == DIVERGED


def test_json_of_a_report_has_the_promised_keys() -> None:
    cause = Cause("c1", "diverged", 2, "message", SITE, "k")
    runs = [CheckedRun(Subject("k", events=5), DIVERGED), CheckedRun(Subject("l", events=2), Verdict("ok"))]
    plain = to_report_json(CheckReport(CodeInfo(("wf",), "f"), runs, [cause], 1.5), "0.1.0")
    assert plain["schema"] == 1
    assert plain["tool"] == {"name": "replaytool", "version": "0.1.0"}
    assert plain["summary"] == {
        "runs": 2, "ok": 1, "drift": 0, "diverged": 1, "failed": 0, "unverified": 0, "crashed": 0,
        "seconds": 1.5, "events": 7,
    }  # fmt: skip
    assert plain["causes"][0]["call_site"]["line"] == 29
    run = plain["runs"][0]
    wanted = {"run_key", "source", "workflow_id", "run_id", "workflow_type", "events", "verdict", "reason", "engine"}
    assert wanted | {"confirmed_by", "stuck", "next", "divergence", "drift", "hazards", "seconds"} <= run.keys()
    assert run["divergence"]["expected"]["name"] == "charge"
    assert run["divergence"]["last_matched_event_id"] == 9
    json.dumps(plain)


def test_steps_and_strange_values_do_not_stop_the_json() -> None:
    odd = Verdict("drift", drift=(Drift(1, "input", {1: b"x"}, object()),), steps=(ReplayStep(3),))
    plain = json.loads(json.dumps(to_report_json(odd)))
    assert "steps" not in plain
    assert plain["drift"][0]["recorded"] == {"1": "eA=="}


def test_the_line_to_look_at_is_the_most_serious_one() -> None:
    assert DIVERGED.call_site == SITE
    assert Verdict("ok").call_site is None
    assert set(WORDS) == set(CheckReport(CodeInfo(), []).count_verdicts()) - {"runs", "seconds", "events"}
