"""What a history does not hold is listed for the run, and only for runs that have it."""

from __future__ import annotations

import pytest

from replaytool.engines.temporal.replay.unseen import list_unseen_parts
from replaytool.model.verdict import CheckedRun, CheckReport, CodeInfo, Subject, Verdict, to_report_json
from replaytool.render import render as render_report
from replaytool.render.report.text import render
from tests.support.histories import recorded

_FIELDS = ("local activity inputs", "local activity time-outs", "local activity retry policies")


@pytest.mark.parametrize(
    ("case", "file"), [("activities_in_sequence", "history.json"), ("patches", "history-before.json")]
)
def test_a_run_without_local_activities_holds_all(case: str, file: str) -> None:
    assert list_unseen_parts(recorded(case, file)) == ()


def test_local_activities_leave_out_their_options() -> None:
    assert list_unseen_parts(recorded("local_activity_failed"))[:3] == _FIELDS


def test_local_activities_of_one_task_leave_out_their_order() -> None:
    found = list_unseen_parts(recorded("local_activities_in_parallel"))
    assert found[:3] == _FIELDS
    assert found[3:] == ("the order in which one task schedules local activities",)


def test_reports_name_it_though_the_run_is_ok() -> None:
    runs = [CheckedRun(Subject(key), Verdict("ok", cannot_see=_FIELDS[:1])) for key in ("a", "b")]
    report = CheckReport(CodeInfo(), [*runs, CheckedRun(Subject("c"), Verdict("ok"))])
    assert "! not compared, since the history does not hold it: local activity inputs (2 runs)" in render(report)
    assert [list(run["cannot_see"]) for run in to_report_json(report)["runs"]] == [list(_FIELDS[:1])] * 2 + [[]]


@pytest.mark.parametrize("format_name", ["markdown", "html", "junit"])
def test_reports_for_people_name_each_part_once_with_its_runs(format_name: str) -> None:
    parts = {"a": _FIELDS[:1], "b": _FIELDS[:2], "c": ()}
    runs = [CheckedRun(Subject(key, workflow_type="W"), Verdict("ok", cannot_see=one)) for key, one in parts.items()]
    text = render_report(CheckReport(CodeInfo(), runs), format_name)
    assert text.count("local activity inputs (2 runs)") == 1
    assert text.count("local activity time") == 1
    without = render_report(CheckReport(CodeInfo(), runs[2:]), format_name)
    assert "local activity" not in without
    assert "ot compared" not in without
