"""Differences inside matching commands: found by path, after decoding, and only where somebody could mind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replaytool.engines.temporal.events.payloads import read_plain_value
from replaytool.engines.temporal.replay.command_fields import fill_retry_policy
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.server_defaults import normalize_pair
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Payload, Run
from replaytool.model.verdict import CallSite, Command, Drift, ExpectedEvent, MatchedPair
from replaytool.replay.compare.drift import DEFAULT_POLICY, check_policy, drift_level, find_differing_paths, find_drift
from tests.support.histories import bent, events

SITE = CallSite("wf.py", 3, "run")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def payload(value: Any, **metadata: bytes) -> Payload:
    return Payload(json.dumps(value).encode(), {"encoding": b"json/plain", **metadata})


def decode(payloads: Sequence[Payload]) -> list[Any]:
    return [read_plain_value(one) for one in payloads]


def pair(recorded: dict[str, Any], produced: dict[str, Any], kind: str = "activity") -> MatchedPair:
    return MatchedPair(ExpectedEvent(5, "E", kind, "n", recorded), Command(kind, "n", produced, SITE))


def drift(recorded: dict[str, Any], produced: dict[str, Any], **policy: Any) -> tuple[Drift, ...]:
    return find_drift([pair(recorded, produced)], decode, {**DEFAULT_POLICY, **policy})


def test_the_path_leads_to_what_differs() -> None:
    found = drift({"input": [payload({"km": 3, "who": "a"})]}, {"input": [payload({"km": 4, "who": "a"})]})
    assert found == (Drift(5, "input[0].km", 3, 4, SITE, "warn"),)


def test_what_decodes_to_the_same_is_the_same() -> None:
    assert drift({"input": [payload(1, type=b"Int")]}, {"input": [payload(1)]}) == ()
    spaced = Payload(b'{"a": 1}', {"encoding": b"json/plain"})
    assert drift({"result": spaced}, {"result": Payload(b'{"a":1}', {"encoding": b"json/plain"})}) == ()


def test_nothing_is_decoded_where_all_is_equal() -> None:
    def never(payloads: Sequence[Payload]) -> list[Any]:
        raise AssertionError

    assert find_drift([pair({"input": [payload(1)]}, {"input": [payload(1)]})], never) == ()


def test_what_is_there_on_one_side_only() -> None:
    assert [(one.path, one.recorded, one.produced) for one in drift({"a": 1}, {"b": 2})] == [
        ("a", 1, None),
        ("b", None, 2),
    ]
    found = drift({"input": [payload({"a": 1})]}, {"input": [payload({"a": 1, "b": 2}), payload(3)]})
    assert {(one.path, one.recorded, one.produced) for one in found} == {
        ("input[0].b", "(nothing)", 2),
        ("input[1]", "(nothing)", 3),
    }


def test_one_and_true_are_two_values() -> None:
    assert [one.path for one in drift({"result": payload(1)}, {"result": payload(True)})] == ["result"]
    assert list(find_differing_paths([1], [True])) == [("[0]", 1, True)]


def test_the_policy_decides_and_the_more_precise_word_wins() -> None:
    recorded, produced = {"input": [payload(1)]}, {"input": [payload(2)]}
    assert drift(recorded, produced, input="ignore") == ()
    assert drift(recorded, produced, **{"input": "ignore", "activity.input": "error"})[0].level == "error"
    assert drift(recorded, produced, **{"*": "ignore"}) == ()
    assert drift_level({}, "activity", "input") == "warn"
    with pytest.raises(ReplaytoolError, match="fatal"):
        check_policy({"input": "fatal"})
    assert check_policy({"input": "error"})["input"] == "error"


def test_headers_of_tracers_are_noise_and_others_are_not() -> None:
    assert drift({"header": {"_tracer-data": payload("x")}}, {"header": {"_tracer-data": payload("y")}}) == ()
    found = drift({"header": {"tenant": payload("x"), "traceparent": payload(1)}}, {"header": {"tenant": payload("y")}})
    assert [one.path for one in found] == ["header.tenant"]


def test_a_thousand_differences_are_not_all_told() -> None:
    many = [pair({"input": [payload(index)]}, {"input": [payload(-1)]}) for index in range(1000)]
    assert len(find_drift(many, decode)) == 100


@settings(deadline=None)
@given(JSON, JSON)
def test_paths_are_there_exactly_where_values_differ(before: Any, after: Any) -> None:
    same = json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    found = list(find_differing_paths(before, after))
    assert bool(found) != same
    assert list(find_differing_paths(before, before)) == []


def record(run_timeout: str = "0s") -> RecordedHistory:
    listed = events("activities_in_sequence")
    listed[0]["workflowExecutionStartedEventAttributes"]["workflowRunTimeout"] = run_timeout
    run: Run = bent(listed)
    return RecordedHistory(run)


@pytest.mark.parametrize(
    ("limit", "produced", "recorded"),
    [
        ("0s", {"startToCloseTimeout": "10s"}, {"startToCloseTimeout": "10s"}),
        (
            "0s",
            {"scheduleToCloseTimeout": "9s"},
            {"scheduleToCloseTimeout": "9s", "scheduleToStartTimeout": "9s", "startToCloseTimeout": "9s"},
        ),
        (
            "60s",
            {"startToCloseTimeout": "90s", "heartbeatTimeout": "70s"},
            {
                "scheduleToCloseTimeout": "60s",
                "scheduleToStartTimeout": "60s",
                "startToCloseTimeout": "60s",
                "heartbeatTimeout": "60s",
            },
        ),
        ("0s", {"startToCloseTimeout": "0.250s"}, {"startToCloseTimeout": "0.250s"}),
    ],
)
def test_time_outs_are_what_the_server_makes_of_them(limit: str, produced: Any, recorded: Any) -> None:
    left, right = normalize_pair(pair(recorded, produced), record(limit))
    assert left == right


@pytest.mark.parametrize(
    ("kind", "produced"),
    [
        ("child_workflow", {"workflowType": "Child", "workflowExecutionTimeout": "900s"}),
        ("activity", {"startToCloseTimeout": "90s"}),
        ("activity", {"scheduleToCloseTimeout": "9s"}),
    ],
)
def test_a_server_that_fills_nothing_in_makes_no_difference(kind: str, produced: dict[str, str]) -> None:
    left, right = normalize_pair(pair(produced, produced, kind), record("60s"))
    assert left == right == produced


def test_a_run_time_out_that_the_code_adds_is_a_difference_on_every_server() -> None:
    recorded = {"workflowType": "Child", "workflowExecutionTimeout": "900s"}
    produced = {**recorded, "workflowRunTimeout": "900s"}
    left, right = normalize_pair(pair(recorded, produced, "child_workflow"), record())
    assert left != right
    left, right = normalize_pair(pair(produced, recorded, "child_workflow"), record())
    assert left == right


def test_a_shorter_time_out_is_a_difference_all_the_same() -> None:
    left, right = normalize_pair(pair({"startToCloseTimeout": "10s"}, {"startToCloseTimeout": "9s"}), record())
    assert left != right


def test_what_a_child_inherits_is_compared_only_where_the_code_says_it() -> None:
    recorded = {"workflowType": "Child", "taskQueue": "q", "workflowTaskTimeout": "10s"}
    left, right = normalize_pair(pair(recorded, {"workflowType": "Child"}, "child_workflow"), record())
    assert left == right
    left, right = normalize_pair(
        pair(recorded, {"workflowType": "Child", "taskQueue": "r"}, "child_workflow"), record()
    )
    assert (left["taskQueue"], right["taskQueue"]) == ("q", "r")


@pytest.mark.parametrize("name", ["memo", "searchAttributes"])
def test_what_the_next_run_does_not_inherit_is_a_difference(name: str) -> None:
    listed = events("activities_in_sequence")
    held = {"team": {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "ImJsdWUi"}}
    listed[0]["workflowExecutionStartedEventAttributes"][name] = {
        {"memo": "fields", "searchAttributes": "indexedFields"}[name]: held
    }
    carried = RecordedHistory(bent(listed)).carried_values
    for start, recorded, produced, is_same in (
        (True, carried, {}, True),
        (True, {}, {}, True),
        (True, carried, {name: {}}, False),
        (False, carried, {}, False),
        (False, carried, carried, True),
        (False, {}, carried, False),
    ):
        run = RecordedHistory(bent(listed)) if start else record()
        left, right = normalize_pair(pair(recorded, produced, "continue_as_new"), run)
        assert (left == right) is is_same, (start, recorded, produced)


def test_a_retry_policy_is_filled_in_as_the_server_does() -> None:
    assert fill_retry_policy(None) == {"initialInterval": "1s", "backoffCoefficient": 2.0, "maximumInterval": "100s"}
    assert fill_retry_policy({"initialInterval": "2s"})["maximumInterval"] == "200s"


def test_a_null_for_an_absent_key_is_no_drift_where_the_policy_says_so() -> None:
    one, other = {"memo": {"a": 1, "b": None}}, {"memo": {"a": 2}}
    assert {found.path for found in drift(one, other)} == {"memo.a", "memo.b"}
    assert {found.path for found in drift(one, other, null="ignore")} == {"memo.a"}
