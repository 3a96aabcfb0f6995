"""Points, effects and selection, from recorded histories alone."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from replaytool import ingest
from replaytool.engines.temporal.reset.run_facts import read_run_facts
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event
from replaytool.model.reset_case import ResetRule
from replaytool.model.reset_plan import ResetItem, ResetPlan, plan_from_text, plan_to_text
from replaytool.model.reset_server import ServerPoint
from replaytool.model.run_facts import NamedEvent, RunActivity, RunChild, RunFacts, RunTask, VersionOverride
from replaytool.model.token_usage import TokenUsage
from replaytool.render.reset import print_plan
from replaytool.reset.effects import compute_effects
from replaytool.reset.planner import PlanRequest, draft_plan, finish_plan
from replaytool.reset.points import list_reset_points
from replaytool.reset.selection import RunSelection
from replaytool.reset.server_checks import explain_server_point
from replaytool.sources import open_sources
from replaytool.store import Store
from tests.support.paths import FIXTURES


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("store") / "runs.duckdb")
    report = ingest.load_into_store(made, open_sources([str(FIXTURES / "*" / "history*.json")]))
    assert report.files > 50
    return made


def planned(store: Store, rule: ResetRule, *ids: str, **choice: object) -> ResetPlan:
    build = rule.value if rule.kind == "build" else None
    return finish_plan(draft_plan(store, PlanRequest(rule, RunSelection(build=build, ids=ids or None, **choice))))  # type: ignore[arg-type]


def only(plan: ResetPlan) -> ResetItem:
    (item,) = plan.items
    return item


def test_riders_of_the_bad_build_are_planned_and_no_others(store: Store) -> None:
    plan = planned(store, ResetRule("build", "v2"), where="workflow_type = 'Loyalty'")
    assert [item.workflow_id[-2:] for item in plan.items] == ["02", "03", "04", "05", "06", "08", "09"]
    assert plan.totals["blocked"] == 0
    assert plan.rule == {"build": "v2"}
    assert "simulation" in plan_to_text(plan)


def test_the_run_before_the_continue_as_new_is_the_base(store: Store) -> None:
    item = only(planned(store, ResetRule("build", "v2"), "loyalty-rider-06"))
    assert item.run_id != item.current_run_id
    assert item.undone_runs == [item.current_run_id]
    assert {warning.code for warning in item.warnings} >= {"continued-as-new", "queue-lost"}


def test_a_run_that_was_reset_already_is_left_out_and_told(store: Store) -> None:
    plan = planned(store, ResetRule("build", "v2"), "notebook-7")
    assert plan.items == []
    assert "was reset already" in plan.skipped[0].reason


def test_a_build_that_came_back_has_two_points(store: Store) -> None:
    first = only(planned(store, ResetRule("build", "v2"), "walk-build_ids"))
    second = only(planned(store, ResetRule("build", "v2", 2), "walk-build_ids"))
    assert "build-came-back" in {warning.code for warning in first.warnings}
    assert first.point.event_id < second.point.event_id
    assert (second.point.ordinal, planned(store, ResetRule("build", "v2", 3), "walk-build_ids").items) == (2, [])


def test_an_override_to_the_bad_build_blocks_unless_named(store: Store) -> None:
    request = PlanRequest(ResetRule("build", "v2"), RunSelection(build="v2", ids=("walk-override",)))
    assert only(finish_plan(draft_plan(store, request))).blocks() == {"override-to-bad-build"}
    named = PlanRequest(request.rule, request.choice, frozenset({"walk-override"}))
    assert only(finish_plan(draft_plan(store, named))).included


def test_a_hash_cannot_be_chosen(store: Store) -> None:
    (row,) = store.query_rows("SELECT first_build FROM runs WHERE workflow_id = 'walk-build_id_default'")
    with pytest.raises(ReplaytoolError, match="two versions of the code can share it") as raised:
        planned(store, ResetRule("build", row["first_build"]))
    assert "--time" in raised.value.hint


@pytest.mark.parametrize("kind", ["first_task", "last_task"])
def test_every_point_is_a_completed_task(store: Store, kind: str) -> None:
    plan = planned(store, ResetRule(kind))
    assert len(plan.items) > 50
    completed = {
        (row["run_key"], row["event_id"])
        for row in store.query_rows("SELECT run_key, event_id FROM events WHERE event_type = 'WorkflowTaskCompleted'")
    }
    assert {(item.run_key, item.point.event_id) for item in plan.items} <= completed
    assert all(item.undone_events > 0 for item in plan.items)


def test_by_event_time_activity_and_continue_as_new(store: Store) -> None:
    build = only(planned(store, ResetRule("build", "v2"), "loyalty-rider-02"))
    at = build.point.at
    assert at is not None
    assert only(planned(store, ResetRule("time", at), "loyalty-rider-02")).point.event_id == build.point.event_id
    near = only(planned(store, ResetRule("event", str(build.point.event_id + 1)), "loyalty-rider-02"))
    assert near.point.event_id == build.point.event_id
    assert planned(store, ResetRule("event", "3"), "loyalty-rider-02").skipped[0].reason.startswith("no workflow task")
    mail = only(planned(store, ResetRule("before_activity", "send_mail"), "loyalty-rider-02"))
    assert mail.repeats["send_mail"] == 1
    season = only(planned(store, ResetRule("last_continued_as_new"), "loyalty-rider-06"))
    assert season.run_id != season.current_run_id
    assert planned(store, ResetRule("last_continued_as_new"), "loyalty-rider-02").items == []


def test_ids_that_are_unknown_or_skipped(store: Store) -> None:
    plan = planned(
        store, ResetRule("build", "v2"), "loyalty-rider-02", "loyalty-rider-03", "nobody", skip=("loyalty-rider-03",)
    )
    assert [item.workflow_id for item in plan.items] == ["loyalty-rider-02"]
    assert {one.run_id: one.reason for one in plan.skipped}["nobody"] == "no loaded workflow or run has this ID"


def test_nothing_chosen_is_said(store: Store) -> None:
    with pytest.raises(ReplaytoolError, match="no loaded run") as raised:
        planned(store, ResetRule("build", "v99"))
    assert raised.value.exit_code == 5


def run(**changes: object) -> RunFacts:
    made = RunFacts("key", "order", "run", "Order", "orders", "Running", tasks=[RunTask(4, None, "v1", None, "")])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_an_activity_that_a_bad_build_ran_taints_the_run() -> None:
    activity = RunActivity("charge", 8, 9, 10, 11, "v2")
    found = run(
        tasks=[RunTask(4, None, "v1", None, ""), RunTask(8, None, "v1", None, ""), RunTask(14, None, "v1", None, "")],
        activities={9: activity},
    )
    points = [point for point in list_reset_points(found) if "v2" in point.rule]
    assert [(point.event_id, point.build_id) for point in points] == [(8, "v1")]


def test_what_ends_behind_the_point_is_done_again() -> None:
    base = run(
        last_event_id=40,
        activities={
            5: RunActivity("kept", 4, 5, 6, 7, "v1"),
            9: RunActivity("open", 8, 9, 20, 21, "v1"),
            15: RunActivity("started", 14, 15, 16, 30, "v1"),
            33: RunActivity("waiting", 32, 33),
        },
        signals=[NamedEvent(10, "a"), NamedEvent(22, "b")],
        cancels=[NamedEvent(23)],
        overrides=[VersionOverride(24, "dep", "v2")],
        children={12: RunChild("c", "C", 12, "", "", closed=31), 25: RunChild("d", "D", 25, "", "")},
        child_events=[
            NamedEvent(13, "ChildWorkflowExecutionStarted", 12),
            NamedEvent(31, "ChildWorkflowExecutionCompleted", 12),
        ],
    )
    found = compute_effects(base, (), 18)
    assert found.repeats == {"open": 1, "started": 1}
    assert found.pending_activities == {"waiting": 1}
    assert found.failed_by_reset == ("started",)
    assert found.reapplied == {"signals": 1, "updates": 0, "options": 1, "children": 1}
    assert (found.cancels_lost, found.undone_events) == (1, 23)
    assert [child.workflow_id for child in found.children_again] == ["d"]
    assert [child.workflow_id for child in found.children_pending] == ["c"]


def test_what_agents_spent_is_told_by_model(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    request = PlanRequest(ResetRule("first_task"), RunSelection(ids=("agent-openai-7", "agent-anthropic-7")))
    prices = {"gpt-4o-mini-2024-07-18": {"input": 0.5, "output": 2.0}}
    plan = finish_plan(draft_plan(store, replace(request, prices=prices)))
    claude, gpt = (item.repeats_usage for item in plan.items)
    assert gpt == {
        "chat_completion": {
            "gpt-4o-mini-2024-07-18": {"calls": 2, "input": 158, "output": 28, "cached": 0, "cost": 0.000135}
        }
    }
    assert claude == {
        "create_message": {
            "claude-3-5-haiku-20241022": {"calls": 2, "input": 1152, "output": 67, "cached": 320, "cost": None}
        }
    }
    assert plan.totals["repeats_usage"] == gpt | claude
    assert plan_from_text(plan_to_text(plan)) == plan
    print_plan(plan, None)
    told = capsys.readouterr().out
    assert "gpt-4o-mini-2024-07-18: 2 calls, 158 input tokens (0 cached), 28 output tokens; cost 0.000135" in told
    assert "claude-3-5-haiku-20241022: 2 calls, 1,152 input tokens (320 cached), 67 output tokens; cost n/a" in told
    late = finish_plan(draft_plan(store, replace(request, rule=ResetRule("event", "17"))))
    assert [one["calls"] for one in late.totals["repeats_usage"]["chat_completion"].values()] == [1]
    assert "repeats_usage" not in planned(store, ResetRule("build", "v2"), "loyalty-rider-02").totals


def payloads(value: Any, encoding: str = "json/plain") -> dict[str, Any]:
    coded = [base64.b64encode(one).decode() for one in (encoding.encode(), json.dumps(value).encode())]
    return {"payloads": [{"metadata": {"encoding": coded[0]}, "data": coded[1]}]}


def event(number: int, kind: str, **said: Any) -> Event:
    name = kind[0].lower() + kind[1:] + "EventAttributes"
    return Event(number, kind, None, None, json.dumps({"eventId": str(number), name: said}).encode())


@pytest.mark.parametrize(("encoding", "spent"), [("json/plain", [TokenUsage("gpt", 5, 2)]), ("binary/encrypted", [])])
def test_the_input_names_the_model_that_the_result_does_not(encoding: str, spent: list[TokenUsage]) -> None:
    result = payloads({"output": [], "usage": {"requests": 1, "input_tokens": 5, "output_tokens": 2}}, encoding)
    row: dict[str, str | None] = dict.fromkeys(
        ("workflow_id", "run_id", "task_queue", "namespace", "first_run_id", "continued_run_id", "parent_workflow_id")
    )
    events = [
        event(5, "ActivityTaskScheduled", activityType={"name": "ask"}, input=payloads({"model_name": "gpt"})),
        event(6, "ActivityTaskStarted", scheduledEventId="5"),
        event(7, "ActivityTaskCompleted", scheduledEventId="5", result=result),
        event(8, "MarkerRecorded", markerName="core_local_activity",
              details={"data": payloads({"activity_type": "look"}), "result": result}),
    ]  # fmt: skip
    row |= {"run_key": "key", "workflow_type": "Agent", "status": "Running", "engine": "temporal"}
    found = read_run_facts(row, events)
    assert found.activities[5].spent == spent
    assert [(one.name, len(one.spent)) for one in found.locals] == [("look", len(spent))]
    assert [kind for kind, _ in compute_effects(found, (), 4).spent] == ["ask", "look"][: 2 * len(spent)]


def test_why_the_server_has_another_point(store: Store) -> None:
    (case,) = draft_plan(
        store, PlanRequest(ResetRule("build", "v2"), RunSelection(build="v2", ids=("loyalty-rider-02",)))
    ).cases
    same = ServerPoint("v2", case.base.run_id or "", case.point.event_id, True, None)
    assert explain_server_point(case, same, 2) is None
    assert "pending" in (
        explain_server_point(case, ServerPoint(same.build_id, same.run_id, same.event_id, False, None), 2) or ""
    )
    assert "newest 20" in (explain_server_point(case, None, 20) or "")
    assert "no longer" in (explain_server_point(case, None, 3) or "")
