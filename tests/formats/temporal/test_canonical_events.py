"""Single events in the spellings of six years: nothing is lost, and what is not understood is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory

from replaytool.formats.temporal.event_schema import HISTORY_EVENT, SchemaField
from replaytool.formats.temporal.export import export_binary, export_json
from replaytool.formats.temporal.proto_files import UNKNOWN
from replaytool.model.history import Run
from tests.formats.sample_histories import NORM, codes, event, events, one, payload, raw, read


def _with(number: int, **attributes: Any) -> Run:
    """The sample with more in the attributes of one event."""
    found = events()
    key = next(key for key in found[number - 1] if key.endswith("Attributes"))
    found[number - 1][key] |= attributes
    return one({"events": found})


def _attributes(run: Run, number: int) -> dict[str, Any]:
    parsed = raw(run, number)
    result: dict[str, Any] = parsed[next(key for key in parsed if key.endswith("Attributes"))]
    return result


def test_sdk_flags_and_builds_survive() -> None:
    assert _attributes(NORM, 4)["sdkMetadata"]["langUsedFlags"] == [1, 2]
    assert [found.build_id for found in NORM.events] == [None, None, "v1", "v1", None, None, None, None]
    assert NORM.problems == ()


def test_a_run_without_flags_is_blind() -> None:
    found = events()
    del found[3]["workflowTaskCompletedEventAttributes"]["sdkMetadata"]
    assert "blind" in codes(one({"events": found}))


@pytest.mark.parametrize(
    ("spelled", "build"),
    [
        ({"workerVersion": {"buildId": "b1"}}, "b1"),
        ({"workerVersion": {"buildId": "b1", "useVersioning": True, "bundleId": "x"}}, "b1"),
        ({"workerVersion": None, "workerVersioningId": {"workerBuildId": "b2"}}, "b2"),
        ({"workerVersion": None, "binaryChecksum": "b3"}, "b3"),
        ({"workerVersion": None, "deploymentVersion": {"deploymentName": "d", "buildId": "b4"}}, "b4"),
    ],
)
def test_every_spelling_of_a_build(spelled: dict[str, Any], build: str) -> None:
    run = _with(4, **spelled)
    assert run.events[3].build_id == build
    assert codes(run) == set()


def test_a_default_build_is_told() -> None:
    assert "hash-build-id" in codes(_with(4, workerVersion={"buildId": "0123456789abcdef0123456789abcdef"}))


@pytest.mark.parametrize(
    ("number", "retired"),
    [
        (5, {"namespace": "default"}),
        (4, {"workerVersion": {"buildId": "v1", "bundleId": ""}}),
        (4, {"workerVersioningId": {"workerBuildId": "old"}}),
        (1, {"parentWorkflowDomain": "d"}),
    ],
)
def test_retired_fields_stay_and_are_no_news(number: int, retired: dict[str, Any]) -> None:
    run = _with(number, **retired)
    assert _attributes(run, number).items() >= retired.items()
    assert codes(run) == set()


@pytest.mark.parametrize(
    ("unknown", "code"),
    [
        ({"novelty": {"deep": [1, None]}}, "unknown-field"),
        ({"taskQueue": {"name": "q", "kind": "TASK_QUEUE_KIND_PURPLE"}}, "unknown-enum"),
        ({"taskQueue": {"name": "q", "colour": "red"}}, "unknown-field"),
        ({"attempt": "many"}, "odd-value"),
    ],
)
def test_what_is_not_understood_stays_and_is_told(unknown: dict[str, Any], code: str) -> None:
    run = _with(1, **unknown)
    assert _attributes(run, 1).items() >= unknown.items()
    assert code in codes(run)
    assert run.workflow_id == "order-7"


@pytest.mark.parametrize("may_ignore", [True, None])
def test_an_unknown_type_of_event_stays_and_is_told(may_ignore: bool | None) -> None:
    found = events()
    strange = {"eventType": "EVENT_TYPE_MIND_CHANGED", "mindChangedEventAttributes": {"to": "x"}}
    found.insert(4, {"eventId": "5", "eventTime": "2026-03-01T10:00:05Z"} | strange | {"workerMayIgnore": may_ignore})
    for number, later in enumerate(found[5:], 6):
        later["eventId"] = str(number)
    run = one({"events": found})
    assert codes(run) == {"unknown-event", "unknown-field"}
    assert raw(run, 5).items() >= strange.items()
    assert raw(run, 5).get("workerMayIgnore") == may_ignore
    assert run.events[4].event_type == "EVENT_TYPE_MIND_CHANGED"


def test_types_that_a_whole_export_omits_are_told_by_the_attributes() -> None:
    found = events()
    for one_event in found:
        del one_event["eventType"]
    found[1]["eventType"] = "EVENT_TYPE_UNSPECIFIED"
    run = one({"events": found})
    assert [one.raw for one in run.events] == [one.raw for one in NORM.events]


def test_before_one_point_zero() -> None:
    text = json.dumps({"events": events()})
    for new, old in (
        ("WORKFLOW_TASK", "DECISION_TASK"),
        ('"workflowTaskC', '"decisionTaskC'),
        ("taskQueue", "taskList"),
    ):
        text = text.replace(new, old)
    found = json.loads(text)["events"]
    for number, one_event in enumerate(found, 1):
        one_event["eventId"] = number
        one_event["timestamp"] = str(1_772_359_200_123_456_789 + number * 10**9)
        del one_event["eventTime"]
    started = found[0]["workflowExecutionStartedEventAttributes"]
    del started["workflowTaskTimeout"]
    started |= {"taskStartToCloseTimeoutSeconds": 10, "initiator": "Decider"}
    run = one({"events": found})
    assert codes(run) == set()
    assert [found.event_type for found in run.events] == [found.event_type for found in NORM.events]
    assert run.events[0].event_time == "2026-03-01T10:00:01.123456789Z"
    attributes = _attributes(run, 1)
    assert attributes["workflowTaskTimeout"] == "10s"
    assert attributes["initiator"] == "CONTINUE_AS_NEW_INITIATOR_WORKFLOW"
    assert attributes["taskQueue"] == {"name": "orders", "kind": "TASK_QUEUE_KIND_NORMAL"}


@pytest.mark.parametrize("prefix", ["EventType", "EVENT_TYPE_", ""])
def test_names_of_types_in_every_case(prefix: str) -> None:
    found = events()
    for one_event, normal in zip(found, NORM.events, strict=True):
        spelled = "DecisionTask" + normal.event_type[12:] if "WorkflowTask" in normal.event_type else normal.event_type
        upper = "".join("_" + c if c.isupper() else c for c in spelled).upper().lstrip("_")
        one_event["eventType"] = prefix + (upper if prefix == "EVENT_TYPE_" else spelled)
    assert [one.event_type for one in one({"events": found}).events] == [one.event_type for one in NORM.events]


def _timed_out(**attributes: Any) -> Run:
    return one({"events": [*events()[:-1], event(8, "WORKFLOW_EXECUTION_TIMED_OUT", attributes)]})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"retryStatus": "InProgress"}, {"retryState": "RETRY_STATE_IN_PROGRESS"}),
        ({"retryStatus": "RETRY_STATUS_TIMEOUT"}, {"retryState": "RETRY_STATE_TIMEOUT"}),
        ({"retryState": 1}, {"retryState": "RETRY_STATE_IN_PROGRESS"}),
    ],
)
def test_retry_status_is_todays_retry_state(old: dict[str, Any], new: dict[str, Any]) -> None:
    run = _timed_out(**old)
    assert _attributes(run, 8) == new
    assert codes(run) == set()


def test_names_that_changed_after_one_point_zero() -> None:
    failed = event(4, "WORKFLOW_TASK_FAILED", {"cause": "DECISION_TASK_FAILED_CAUSE_UNHANDLED_DECISION"})
    admitted = event(
        5, "WORKFLOW_EXECUTION_UPDATE_ADMITTED", {"origin": "UPDATE_REQUESTED_EVENT_ORIGIN_REAPPLY", "request": {}}
    )
    run = one({"events": [*events()[:3], failed, admitted]})
    assert _attributes(run, 4)["cause"] == "WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND"
    assert _attributes(run, 5)["origin"] == "UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY"
    assert codes(run) == set()


def test_marker_details_as_bare_base64() -> None:
    blob = base64.b64encode(b'"test-change"\n1\n').decode()
    found = [*events()[:4], event(5, "MARKER_RECORDED", {"markerName": "Version", "details": blob})]
    run = one({"events": found})
    assert _attributes(run, 5)["details"] == {"data": {"payloads": [{"data": blob}]}}
    assert codes(run) == set()


@pytest.mark.parametrize(
    "value", [3, 2.5, -0.0, 10**15, True, None, "text", "", [1, [2]], {"km": 3, "a b": None}, "ümlaut 🙂", "1"]
)
def test_values_that_the_ui_decoded_are_encoded_again(value: object) -> None:
    found = events()
    found[4]["activityTaskScheduledEventAttributes"]["input"] = {"payloads": [value, payload("kept")]}
    run = one({"events": found})
    again, kept = _attributes(run, 5)["input"]["payloads"]
    assert again["metadata"]["encoding"] == payload(0)["metadata"]["encoding"]
    assert json.loads(base64.b64decode(again["data"])) == value
    assert kept == payload("kept")
    assert codes(run) == {"decoded-payload"}


@pytest.mark.parametrize("whole", [3, [3, "x"], {"payloads": [3, "x"]}])
def test_a_whole_argument_list_that_the_ui_decoded(whole: object) -> None:
    found = events()
    found[4]["activityTaskScheduledEventAttributes"]["input"] = whole
    payloads = _attributes(one({"events": found}), 5)["input"]["payloads"]
    assert [json.loads(base64.b64decode(one["data"])) for one in payloads] == ([3] if whole == 3 else [3, "x"])


def test_a_value_of_another_encoding_is_lost_and_told() -> None:
    found = events()
    lost = {"metadata": {"encoding": "binary/encrypted"}, "data": {"shown": "as this"}}
    found[4]["activityTaskScheduledEventAttributes"]["input"] = {"payloads": [lost]}
    run = one({"events": found})
    assert "lost-payload" in codes(run)
    assert _attributes(run, 5)["input"]["payloads"][0]["data"] == {"shown": "as this"}


def test_what_the_ui_adds_to_events_is_left_out() -> None:
    found = []
    for one_event in events():
        key = next(key for key in one_event if key.endswith("Attributes"))
        extra = {
            "attributes": {"type": key, **one_event[key]},
            "classification": "Completed",
            "category": "workflow",
            "name": "X",
            "id": one_event["eventId"],
            "timestamp": "2026-03-01 UTC 10:00:01.12",
        }
        found.append(one_event | extra)
    run = one(found)
    assert [one.raw for one in run.events] == [one.raw for one in NORM.events]
    assert codes(run) == {"ui-decorated"}


def test_urls_safe_base64_is_read() -> None:
    data = base64.urlsafe_b64encode(b'"\xc3\xbf\xc3\xbe?>"').decode().rstrip("=")
    found = events()
    value = payload("") | {"data": data}
    found[4]["activityTaskScheduledEventAttributes"]["input"] = {"payloads": [value]}
    again = _attributes(one({"events": found}), 5)["input"]["payloads"][0]["data"]
    assert base64.b64decode(again).decode() == '"ÿþ?>"'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud83d", 10**400, -(10**25)])
def test_values_that_json_should_not_hold(value: object) -> None:
    found = events()
    found[4]["activityTaskScheduledEventAttributes"]["input"] = {"payloads": [value]}
    assert "decoded-payload" in codes(one({"events": found}))
    found[4]["strange"] = value
    run = one({"events": found})
    assert "unknown-field" in codes(run)
    json.loads(run.events[4].raw)


def test_order_and_gaps_are_told() -> None:
    assert "descending" in codes(one({"events": events()[::-1]}))
    shuffled = events()
    shuffled[3], shuffled[5] = shuffled[5], shuffled[3]
    assert "disordered" in codes(one({"events": shuffled}))
    assert "missing-event-id" in codes(one({"events": [*events()[:4], *events()[6:]]}))
    assert "duplicate-event-id" in codes(one({"events": [*events()[:5], *events()[4:]]}))
    timeless = events()
    del timeless[5]["eventTime"]
    assert "no-event-time" in codes(one({"events": timeless}))


def _history(found: list[dict[str, Any]]) -> History:
    return History(events=WorkflowHistory.from_json("", json.dumps({"events": found})).events)


def test_binary_with_fields_that_the_sdk_does_not_know() -> None:
    history = _history(events())
    novelty = bytes([0xCA, 0xFA, 0x01, 0x03]) + b"new"  # field 4009, length-delimited
    data = history.events[4].SerializeToString() + novelty
    events_bytes = [one.SerializeToString() for one in history.events]
    events_bytes[4] = data
    content = b"".join(b"\x0a" + _varint(len(one)) + one for one in events_bytes)
    run = one(content)
    assert "unknown-field" in codes(run)
    assert base64.b64decode(raw(run, 5)[UNKNOWN]) == data
    assert export_binary(run.events) == content


def test_binary_with_a_type_that_the_sdk_does_not_know() -> None:
    history = _history(events())
    history.events[4].event_type = 4009  # type: ignore[assignment]
    run = one(history.SerializeToString())
    assert "unknown-event" in codes(run)
    assert export_binary(run.events) == history.SerializeToString()


def _varint(number: int) -> bytes:
    low = number & 0x7F
    return bytes([low]) if number < 0x80 else bytes([low | 0x80]) + _varint(number >> 7)


def test_both_exports_give_an_equal_proto() -> None:
    expected = _history(events())
    assert History(events=WorkflowHistory.from_json("", export_json(NORM.events).decode()).events) == expected
    assert History.FromString(export_binary(NORM.events)) == expected
    assert read(export_binary(NORM.events))[0].sha256 == NORM.sha256


def test_every_known_type_of_event_takes_the_fast_lane() -> None:
    oneof = HistoryEvent.DESCRIPTOR.oneofs_by_name["attributes"].fields
    for field in oneof:
        kind = field.name.removesuffix("_event_attributes").upper()
        try:
            known = HistoryEvent(event_id=2, event_type=f"EVENT_TYPE_{kind}")  # type: ignore[arg-type]
        except ValueError:
            continue
        getattr(known, field.name).SetInParent()
        run = one({"events": [events()[0], MessageToDict(known)]})
        assert codes(run) <= {"no-event-time", "blind"}
        assert run.events[1].event_type.lower() == kind.replace("_", "").lower()


def test_maps_are_told_as_protobuf_tells_them() -> None:
    kinds, seen = [HISTORY_EVENT], set()
    while kinds:
        kind = kinds.pop()
        if kind.full_name not in seen:
            seen.add(kind.full_name)
            kinds += [field.message_type for field in kind.fields if field.message_type]
            for field in kind.fields:
                is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
                assert SchemaField(field.name, field).is_map == is_map, field.full_name
    assert "temporal.api.common.v1.Header.FieldsEntry" in seen


def test_a_binary_history_is_the_same_run_whichever_process_reads_it() -> None:
    memo = {"fields": {name: payload(name) for name in "hgfedcba"}}
    run = _with(1, memo=memo)
    known = read(export_binary(run.events))[0]
    assert [*_attributes(known, 1)["memo"]["fields"]] == sorted("abcdefgh")


def test_a_type_that_one_event_lacks_is_not_guessed() -> None:
    found = events()
    del found[2]["eventType"]
    run = one({"events": found})
    assert [event.event_type for event in run.events].count("Unspecified") == 1
    assert ("unknown-event", "the event has no type", 3) in [
        (problem.code, problem.message, problem.event_id) for problem in run.problems
    ]
