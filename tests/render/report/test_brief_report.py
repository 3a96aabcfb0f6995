"""The brief report: at most 1,500 tokens whatever was checked, and what is left out is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from replaytool.check.causes import find_causes
from replaytool.model.guilty import EditHunk, GuiltyEdits, GuiltySearch
from replaytool.model.verdict import (
    BaseCode,
    CallSite,
    CheckedRun,
    CheckReport,
    CodeInfo,
    Command,
    Divergence,
    ExpectedEvent,
    Subject,
    Verdict,
)
from replaytool.render import render
from replaytool.render.report.brief_report import MOST_LETTERS
from tests.render.report.test_reports import hostile


def diverged_runs(number: int, causes: int) -> list[CheckedRun]:
    """Runs that diverge at so many lines of the code."""
    runs = []
    for index in range(number):
        line = index % causes + 1
        site = CallSite("app/order.py", line, "run")
        told = Divergence(
            index + 5,
            ExpectedEvent(index + 5, "ActivityTaskScheduled", "activity", f"charge_{line}"),
            Command("activity", f"refund_{line}", {}, site),
            ("name",),
            site,
            None,
            (),
            "put the new step behind workflow.patched(…): " + "words " * 60,
        )
        subject = Subject(f"{index:012x}", "history.json", f"order-{index}", "", "Order", 40)
        runs.append(CheckedRun(subject, Verdict("diverged", f"charge_{line} and refund_{line}", divergence=told)))
    return runs


def report_of(number: int, causes: int) -> CheckReport:
    runs = diverged_runs(number, causes)
    return CheckReport(CodeInfo(("app.order",), "f", tuple(f"app/m{n}.py" for n in range(90))), runs, find_causes(runs))


def brief(report: CheckReport) -> Any:
    text = render(report, "brief")
    assert len(text) <= MOST_LETTERS
    assert text.count("\n") == 1
    return json.loads(text)


@pytest.mark.parametrize(("number", "causes"), [(0, 1), (1, 1), (11, 5), (3000, 700)])
def test_any_number_of_runs_is_brief_and_counts_what_is_left_out(number: int, causes: int) -> None:
    told = brief(report_of(number, causes))
    assert told["summary"]["diverged"] == told["failing_runs"] == number
    assert len(told["causes"]) + told["causes_left_out"] == min(number, causes)
    assert bool(told["causes"]) == bool(number)
    assert told["next"].startswith("replaytool debug ") == bool(number)


def test_guilty_edits_come_with_the_command_for_a_fix() -> None:
    edits = tuple(EditHunk(f"app/{n}.py", 9, 1, 9, 1, ("OLD = 3\n",), ("NEW = 2\n" * 200,)) for n in range(40))
    found = tuple(GuiltyEdits((one,), tuple(f"{n:012x}" for n in range(3000))) for one in edits)
    report = replace(report_of(3000, 700), base=BaseCode("main", "c0ffee"), guilty=GuiltySearch(found, edits=40))
    told = brief(report)
    first = told["guilty"][0]
    assert (first["edits"][0]["where"], first["breaks"], first["alone"]) == ("app/0.py:9", 3000, True)
    assert len(told["guilty"]) + told["guilty_left_out"] == 40
    assert told["causes"]
    assert told["next"] == "replaytool check --base main --fix -o fix.diff"


def test_hostile_text_is_cut_and_escaped() -> None:
    told = brief(hostile())
    assert "\x1b" not in json.dumps(told, ensure_ascii=False)
    assert told["summary"]["runs"] == 5
