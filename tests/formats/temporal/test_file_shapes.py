"""What stands around the events in the files that people have: the run inside is always the same."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.api.export.v1 import WorkflowExecution, WorkflowExecutions
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from replaytool.formats import Unreadable, detect_format
from replaytool.formats import json_stream as json_values
from replaytool.model.history import RunHints
from tests.formats.sample_histories import NORM, OTHER_RUN_ID, RUN_ID, codes, events, one, read


def _spelled(value: object, key: Callable[[str], str], text: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key(name): _spelled(item, key, text) for name, item in value.items()}
    if isinstance(value, list):
        return [_spelled(item, key, text) for item in value]
    return text(value) if isinstance(value, str) else value


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def _pascal(value: str) -> str:
    for prefix in ("EVENT_TYPE_", "TASK_QUEUE_KIND_"):
        if value.startswith(prefix):
            return value.removeprefix(prefix).title().replace("_", "")
    return value


def _integers(name: str, value: object) -> object:
    return int(value) if name.endswith("Id") and isinstance(value, str) and value.isdigit() else value


def _lines(*values: object) -> str:
    return "\n".join(json.dumps(value) for value in values)


SHAPES: dict[str, object] = {
    "the norm": {"events": events()},
    "pretty": json.dumps({"events": events()}, indent=4),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps({"events": events()}).encode(),
    "PascalCase enums": {"events": _spelled(events(), str, _pascal)},
    "snake_case keys": {"events": _spelled(events(), _snake, str)},
    "integer ids": {"events": [{name: _integers(name, item) for name, item in one.items()} for one in events()]},
    "API answer": {"history": {"events": events()}, "nextPageToken": None, "rawHistory": [], "archived": False},
    "wrapped with camelCase ids": {"workflowId": "order-7", "history": {"events": events()}},
    "wrapped with snake_case ids": {"workflow_id": "order-7", "history": {"events": events()}},
    "wrapped with an execution": {"workflowExecution": {"workflowId": "order-7"}, "events": events()},
    "bare list": events(),
    "bare list, newest first": events()[::-1],
    "wrapped, newest first": {"history": {"events": events()[::-1]}},
    "list of one history": [{"events": events()}],
    "archive: batches of one history": [{"events": events()[:3]}, {"events": events()[3:7]}, {"events": events()[7:]}],
    "batches by line": _lines({"events": events()[:3]}, {"events": events()[3:]}),
    "object of runs": {"first": [{"events": events()}]},
    "JSON in a string": json.dumps(json.dumps({"events": events()})),
    "JSON in a member": {"history": json.dumps({"events": events()})},
    "events by line": _lines(*events()),
    "a comma at the end": json.dumps({"events": events()}) + ",\n",
    "binary": WorkflowHistory.from_json("", json.dumps({"events": events()})),
}


def _binary(value: object) -> object:
    return History(events=value.events).SerializeToString() if isinstance(value, WorkflowHistory) else value


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_run_comes_out_of_every_shape(shape: str) -> None:
    run = one(_binary(SHAPES[shape]))
    assert [json.loads(event.raw) for event in run.events] == [json.loads(event.raw) for event in NORM.events]
    assert (run.workflow_id, run.run_id, run.workflow_type, run.status) == ("order-7", RUN_ID, "Order", "Completed")
    assert run.sdk_name == "temporal-python"
    assert codes(run) <= {"descending"}


@pytest.mark.parametrize(
    "content",
    [
        [{"events": events()}, {"events": events(OTHER_RUN_ID, "order-8")}],
        [events(), events(OTHER_RUN_ID, "order-8")],
        [*events(), *events(OTHER_RUN_ID, "order-8")],
        [*events()[::-1], *events(OTHER_RUN_ID, "order-8")[::-1]],
        {"one": [{"events": events()}], "two": [{"events": events(OTHER_RUN_ID, "order-8")}]},
        _lines({"events": events()}, {"events": events(OTHER_RUN_ID, "order-8")}),
        _lines(*events(), *events(OTHER_RUN_ID, "order-8")),
        json.dumps({"events": events()}, indent=1) + json.dumps({"events": events(OTHER_RUN_ID, "order-8")}, indent=1),
        _lines(json.dumps({"events": events()}), json.dumps({"events": events(OTHER_RUN_ID, "order-8")})),
        [{"workflowId": "order-7", "events": events()}, {"workflowId": "order-8", "events": events(OTHER_RUN_ID)}],
    ],
    ids=range(10),
)
def test_two_histories_stay_two(content: object) -> None:
    runs = read(content)
    assert [(run.workflow_id, len(run.events)) for run in runs] == [("order-7", 8), ("order-8", 8)]


def test_histories_are_not_joined_where_one_could_seem_to_go_on() -> None:
    short = events()[:3]
    runs = read([{"events": short}, {"events": events(OTHER_RUN_ID)[:2]}, {"events": events()[:1]}])
    assert [len(run.events) for run in runs] == [3, 2, 1]
    closed = [*events()[:7], events()[7]]
    with pytest.raises(Unreadable, match="fragment"):
        read([{"events": closed}, {"events": [event | {"eventId": str(8 + i)} for i, event in enumerate(closed, 1)]}])
    with pytest.raises(Unreadable, match="single event"):
        read([{"events": events()[:5]}, {"events": events()[3:4]}])
    with pytest.raises(Unreadable, match="fragment"):
        read([{"workflowId": "a", "events": events()[:3]}, {"workflowId": "b", "events": events()[3:]}])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (events()[4], "a single event .ActivityTaskScheduled, id 5"),
        (events()[0], "a single event .WorkflowExecutionStarted, id 1"),
        ({"found": {"event_id": 5}, "also": [{"event_id": 1}]}, "JSON with event IDs, but not a history"),
        ({"events": events()[3:]}, "a fragment .events 4 to 8"),
        ([{"initialEvent": events()[0], "eventList": events()}], "event groups"),
        ({"events": []}, "without a history"),
        ("", "the file is empty"),
        ("  \n", "the file is empty"),
        ('{"hello": 1}', "JSON, but not a history"),
        ("GIF89a", "neither JSON nor protobuf"),
        (json.dumps({"events": events()})[:-400], "cut off"),
        ('{"events": [{"eventId": 1,,}]}', "not valid JSON"),
        (json.dumps({"events": events()}).encode("utf-16"), "UTF-16"),
        ({"events": [events()[0], events()[1] | {"eventId": str(2**40)}]}, "ID 1099511627776"),
    ],
)
def test_what_is_no_history_is_refused_by_name(content: object, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(content)
    assert re.search(reason, caught.value.reason), caught.value.reason


def test_a_broken_file_says_where() -> None:
    text = json.dumps({"events": events()}).replace('"attempt": 1', '"attempt": 1x')
    with pytest.raises(Unreadable, match="not valid JSON") as caught:
        read(text)
    assert re.fullmatch(r"byte \d+", caught.value.position)


def test_what_stands_before_the_events_may_be_long() -> None:
    assert one({"memo": "x" * 100_000, "history": {"events": events()}}).workflow_id == "order-7"


@pytest.mark.parametrize("token", ["nextPageToken", "next_page_token"])
def test_a_next_page_says_that_events_are_missing(token: str) -> None:
    assert "truncated" in codes(one({"history": {"events": events()[:5]}, token: "abc"}))
    assert "truncated" in codes(one({"events": events()[:5], token: "abc"}))
    assert "truncated" not in codes(one({"events": events(), token: ""}))


def test_ids_come_from_the_best_source_that_has_them() -> None:
    named = RunHints(name="x", run_id="from-name", workflow_id="named")
    wrapped = {"workflowId": "wrapped", "runId": "wrapped-run", "namespace": "prod", "history": {"events": events()}}
    run = one(wrapped, named)
    assert (run.workflow_id, run.run_id, run.run_id_from, run.namespace) == (
        "wrapped",
        "wrapped-run",
        "wrapper",
        "prod",
    )
    assert (NORM.run_id, NORM.run_id_from) == (RUN_ID, "started event")

    reset = events()
    del reset[3]["workflowTaskCompletedEventAttributes"]
    reset[3] |= {
        "eventType": "EVENT_TYPE_WORKFLOW_TASK_FAILED",
        "workflowTaskFailedEventAttributes": {
            "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW",
            "baseRunId": RUN_ID,
            "newRunId": OTHER_RUN_ID,
        },
    }
    run = one({"events": reset}, named)
    assert (run.run_id, run.run_id_from, run.reset_from_run_id) == (OTHER_RUN_ID, "reset event", RUN_ID)

    old = events()
    for name in ("originalExecutionRunId", "workflowId"):
        del old[0]["workflowExecutionStartedEventAttributes"][name]
    run = one({"events": old}, named)
    assert (run.run_id, run.run_id_from, run.workflow_id) == ("from-name", "file name", "named")
    run = one({"events": old})
    assert (run.run_id, run.run_id_from, run.workflow_id) == (None, "none", None)
    assert {"no-run-id", "no-workflow-id"} <= codes(run)


def _histories(*all_events: list[dict[str, Any]]) -> list[History]:
    return [History(events=WorkflowHistory.from_json("", json.dumps({"events": some})).events) for some in all_events]


def test_cloud_export_holds_several_runs() -> None:
    items = [WorkflowExecution(history=found) for found in _histories(events(), events(OTHER_RUN_ID, "order-8"))]
    content = WorkflowExecutions(items=[*items, items[0]]).SerializeToString()
    assert detect_format(content).name == "temporal-proto"
    assert [run.workflow_id for run in read(content)] == ["order-7", "order-8", "order-7"]
    with pytest.raises(Unreadable, match="cut off"):
        read(content[:-100])


def test_binary_that_begins_late_is_no_history() -> None:
    (history,) = _histories(events())
    del history.events[0]
    with pytest.raises(Unreadable):
        read(history.SerializeToString())


def _long(count: int) -> list[dict[str, Any]]:
    first, *rest = events()[:-1]
    return [first, *(rest[index % 6] | {"eventId": str(index + 2)} for index in range(count - 1))]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("tail", [{}, {"nextPageToken": "abc", "workflowId": "behind"}])
def test_a_history_that_is_longer_than_a_piece(
    monkeypatch: pytest.MonkeyPatch, indent: int | None, tail: dict[str, str]
) -> None:
    monkeypatch.setattr(json_values, "PIECE", 64 * 1024)
    monkeypatch.setattr(json_values, "FIRST_PIECE", 16 * 1024)
    run = one(json.dumps({"events": _long(3000)} | tail, indent=indent))
    assert [event.event_id for event in run.events] == list(range(1, 3001))
    assert ("truncated" in codes(run)) == bool(tail)
    assert run.workflow_id == tail.get("workflowId", "order-7")


@pytest.mark.parametrize("odd", ["NaN", r'"\ud83d"', "1e999"])
def test_long_files_with_what_strict_parsers_refuse(monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    monkeypatch.setattr(json_values, "PIECE", 64 * 1024)
    monkeypatch.setattr(json_values, "FIRST_PIECE", 16 * 1024)
    found = _long(600)
    found[20]["strange"] = "ODD"
    text = json.dumps({"events": found}).replace('"ODD"', odd)
    for content, count in ((text, 1), (f"[{text},{text}]", 2), (f"{text}\n{text}\n", 2), (f'{{"history":{text}}}', 1)):
        runs = list(detect_format(content.encode()).read_runs(io.BytesIO(content.encode()), RunHints()))
        assert [len(run.events) for run in runs] == [600] * count
        assert "unknown-field" in codes(runs[0])


def test_a_gap_where_a_piece_ends_does_not_cut_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "PIECE", 64 * 1024)
    monkeypatch.setattr(json_values, "FIRST_PIECE", 16 * 1024)
    found = [event for event in _long(3000) if int(event["eventId"]) % 3]
    run = one({"events": found})
    assert len(run.events) == len(found)
    assert "missing-event-id" in codes(run)


def test_one_value_that_no_history_can_be_is_refused_before_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "PIECE", 64 * 1024)
    monkeypatch.setattr(json_values, "FIRST_PIECE", 16 * 1024)
    monkeypatch.setattr(json_values, "LONGEST_VALUE", 256 * 1024)
    with pytest.raises(Unreadable, match="a JSON value of more than"):
        read({"history": {"events": _long(3000)}})


@pytest.mark.parametrize(
    ("content", "engine"),
    [
        (
            {"events": [{"eventId": 1, "eventTimestamp": 1420142987.1, "eventType": "WorkflowExecutionStarted"}]},
            "Simple",
        ),
        ([{"EventType": "StepStarted", "EventId": 1, "Id": "a", "EventTimestamp": "2026-01-01"}], "Lambda"),
        ({"Events": [{"$type": "DurableTask.Core.History.ExecutionStartedEvent, DurableTask.Core"}]}, "Durable Task"),
        (
            [
                {
                    "eventId": 1,
                    "timestamp": 1600000000000000000,
                    "eventType": "WorkflowExecutionStarted",
                    "workflowExecutionStartedEventAttributes": {"executionStartToCloseTimeoutSeconds": 10},
                }
            ],
            "Cadence",
        ),
    ],
)
def test_other_engines_are_refused_by_name(content: object, engine: str) -> None:
    with pytest.raises(Unreadable, match=f"a history of .*{engine}"):
        read(content)


def test_words_of_other_engines_inside_a_value_do_not_refuse_a_file() -> None:
    found = events()
    found[4]["activityTaskScheduledEventAttributes"]["input"] = {
        "payloads": [{"eventTimestamp": 1, "EventType": "StepStarted", "$type": "DurableTask.X"}]
    }
    assert "decoded-payload" in codes(one({"events": found}))
