"""A small history as the CLI exports it, and what tools make of it."""

from __future__ import annotations

import base64
import copy
import io
import json
from typing import Any

from replaytool.formats import detect_format
from replaytool.model.history import Run, RunHints

RUN_ID = "0191c1a2-7d4e-7bd2-9a3f-1f2e3d4c5b6a"
OTHER_RUN_ID = "0191c1a2-7d4e-7bd2-9a3f-000000000000"


def payload(value: object) -> dict[str, Any]:
    data = json.dumps(value, separators=(",", ":")).encode()
    return {
        "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
        "data": base64.b64encode(data).decode(),
    }


def event(number: int, kind: str, attributes: dict[str, Any]) -> dict[str, Any]:
    words = kind.split("_")
    key = words[0].lower() + "".join(word.title() for word in words[1:]) + "EventAttributes"
    return {
        "eventId": str(number),
        "eventTime": f"2026-03-01T10:00:{number:02}.123456789Z",
        "eventType": f"EVENT_TYPE_{kind}",
        "taskId": str(1_048_576 + number),
        key: attributes,
    }


def _events() -> list[dict[str, Any]]:
    queue = {"name": "orders", "kind": "TASK_QUEUE_KIND_NORMAL"}
    version = {"workerVersion": {"buildId": "v1"}}
    return [
        event(
            1,
            "WORKFLOW_EXECUTION_STARTED",
            {
                "workflowType": {"name": "Order"},
                "taskQueue": queue,
                "input": {"payloads": [payload({"km": 3})]},
                "workflowTaskTimeout": "10s",
                "originalExecutionRunId": RUN_ID,
                "firstExecutionRunId": RUN_ID,
                "identity": "1@web",
                "attempt": 1,
                "workflowId": "order-7",
            },
        ),
        event(2, "WORKFLOW_TASK_SCHEDULED", {"taskQueue": queue, "startToCloseTimeout": "10s", "attempt": 1}),
        event(3, "WORKFLOW_TASK_STARTED", {"scheduledEventId": "2", "identity": "1@w", "requestId": "r"} | version),
        event(
            4,
            "WORKFLOW_TASK_COMPLETED",
            {
                "scheduledEventId": "2",
                "startedEventId": "3",
                "identity": "1@w",
                "sdkMetadata": {"langUsedFlags": [1, 2], "sdkName": "temporal-python", "sdkVersion": "1.35.0"},
            }
            | version,
        ),
        event(
            5,
            "ACTIVITY_TASK_SCHEDULED",
            {
                "activityId": "1",
                "activityType": {"name": "charge"},
                "taskQueue": queue,
                "input": {"payloads": [payload(3), payload("x")]},
                "startToCloseTimeout": "30s",
                "workflowTaskCompletedEventId": "4",
            },
        ),
        event(6, "ACTIVITY_TASK_STARTED", {"scheduledEventId": "5", "identity": "1@w", "attempt": 1}),
        event(
            7,
            "ACTIVITY_TASK_COMPLETED",
            {"scheduledEventId": "5", "startedEventId": "6", "result": {"payloads": [payload(True)]}},
        ),
        event(
            8,
            "WORKFLOW_EXECUTION_COMPLETED",
            {"result": {"payloads": [payload("done")]}, "workflowTaskCompletedEventId": "4"},
        ),
    ]


def events(run_id: str = RUN_ID, workflow_id: str = "order-7") -> list[dict[str, Any]]:
    """A fresh copy, to be spoiled at will."""
    found = copy.deepcopy(_events())
    found[0]["workflowExecutionStartedEventAttributes"] |= {
        "originalExecutionRunId": run_id,
        "firstExecutionRunId": run_id,
        "workflowId": workflow_id,
    }
    return found


def read(content: object, hints: RunHints | None = None) -> list[Run]:
    """The runs in bytes, in text, or in the JSON of a value."""
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    return list(detect_format(content[: 64 * 1024]).read_runs(io.BytesIO(content), hints or RunHints()))


def one(content: object, hints: RunHints | None = None) -> Run:
    (run,) = read(content, hints)
    return run


def codes(run: Run) -> set[str]:
    return {problem.code for problem in run.problems}


def raw(run: Run, event_id: int) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(run.events[event_id - 1].raw)
    return result


NORM = one({"events": events()})
