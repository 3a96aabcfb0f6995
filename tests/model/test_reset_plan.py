"""Plans: read as they were written, and refused once somebody has touched them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replaytool.errors import ReplaytoolError
from replaytool.model.reset_plan import (
    PlanWarning,
    RepeatedChild,
    ResetItem,
    ResetPlan,
    ResetPoint,
    SkippedWorkflow,
    make_item_id,
    plan_from_text,
    plan_to_text,
    read_plan,
    seal_plan,
    sum_totals,
)


def item(name: str = "rider-1", **changes: Any) -> ResetItem:
    made = ResetItem(
        id=make_item_id("default", name, "run-1", 16),
        workflow_id=name,
        run_id="run-1",
        run_key="abcdef",
        workflow_type="Loyalty",
        task_queue="riders",
        status="Running",
        events=53,
        current_run_id="run-1",
        current_events=53,
        point=ResetPoint(16, "v2", "first task by build v2", 1, "2026-01-01T00:00:00Z"),
        undone_events=38,
        undone_runs=[],
        reapplied={"signals": 3, "updates": 1, "options": 0, "children": 0},
        repeats={"score_trip": 3, "send_mail": 1},
        repeats_local={},
        pending_activities={},
        updates_may_change=["adjust (1)"],
        children_again=[RepeatedChild("gift", "Gift", False, "Completed")],
        warnings=[PlanWarning("update-results", "warn", "1 update")],
        included=True,
    )
    return replace(made, **changes)


def plan(*items: ResetItem) -> ResetPlan:
    found = list(items or (item(),))
    return seal_plan(
        ResetPlan(
            namespace="default",
            rule={"build": "v2"},
            created_at="2026-01-01T00:00:00Z",
            totals=sum_totals(found),
            items=found,
            skipped=[SkippedWorkflow("rider-2", None, "no task by build v2")],
        )
    )


def test_a_plan_is_read_as_it_was_written() -> None:
    made = plan(item(), item("rider-\x1b[31m\u202e", included=False))
    text = plan_to_text(made)
    assert plan_from_text(text) == made
    assert plan_to_text(plan_from_text(text)) == text
    assert text.isascii()
    assert "\x1b" not in text


def test_the_json_is_the_contract() -> None:
    found = json.loads(plan_to_text(plan()))
    assert list(found) == [
        "schema", "tool", "namespace", "rule", "created_at", "code", "sha256", "totals", "warnings", "skipped", "items",
    ]  # fmt: skip
    assert found["totals"] == {
        "items": 1,
        "blocked": 0,
        "repeats": {"score_trip": 3, "send_mail": 1},
        "signals": 3,
        "updates": 1,
    }
    one = found["items"][0]
    assert one["point"]["event_id"] == 16
    assert one["reapplied"]["signals"] == 3
    assert (one["prefix_verdict"], one["simulation"], found["code"]) == (None, None, None)


def test_sums_are_over_what_is_taken() -> None:
    made = plan(item(), item("rider-2", included=False))
    assert made.totals["items"] == 2
    assert made.totals["blocked"] == 1
    assert made.totals["signals"] == 3


def test_layout_may_change_and_content_may_not(tmp_path: Path) -> None:
    found = json.loads(plan_to_text(plan()))
    assert plan_from_text(json.dumps(found, indent=4)) == plan()
    found["items"][0]["point"]["event_id"] = 4
    (tmp_path / "plan.json").write_text(json.dumps(found))
    with pytest.raises(ReplaytoolError, match="was edited"):
        read_plan(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[]", "not a plan of replaytool"),
        ("{}", "not a plan of replaytool"),
        ('{"schema": 2, "items": []}', "schema 2"),
        ('{"schema": 1, "items": []}', "was edited"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ReplaytoolError, match=reason):
        plan_from_text(text)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(ReplaytoolError, match="cannot read the plan"):
        read_plan(Path("nowhere.json"))


def test_the_same_reset_has_the_same_id_and_another_has_another() -> None:
    assert make_item_id("default", "a", "r", 4) == make_item_id("default", "a", "r", 4)
    assert (
        len(
            {
                make_item_id("default", "a", "r", 4),
                make_item_id("default", "a", "r", 5),
                make_item_id(None, "a", "r", 4),
            }
        )
        == 3
    )


def test_the_token_names_plan_and_item() -> None:
    made = plan()
    assert made.reset_token(made.items[0]) == f"replaytool:{made.sha256[:12]}:{made.items[0].id}"
