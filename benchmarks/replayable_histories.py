"""Workflows and synthetic histories of theirs that replay: as a server would have written them, and of any length."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

WORKFLOWS = """
import asyncio
from datetime import timedelta

from temporalio import workflow

LONG = timedelta(seconds=30)


@workflow.defn
class Steps:
    @workflow.run
    async def run(self, steps: int) -> int:
        total = 0
        for step in range(steps):
            total += await workflow.execute_activity("score_trip", {"trip": step}, start_to_close_timeout=LONG)
        return total


@workflow.defn
class Locals:
    @workflow.run
    async def run(self, steps: int) -> int:
        total = 0
        for step in range(steps):
            total += await workflow.execute_local_activity("score_trip", {"trip": step}, start_to_close_timeout=LONG)
        return total


@workflow.defn
class Signals:
    def __init__(self) -> None:
        self.seen = 0

    @workflow.run
    async def run(self, steps: int) -> int:
        await workflow.wait_condition(lambda: self.seen >= steps)
        return self.seen

    @workflow.signal
    async def ring(self, door: str) -> None:
        self.seen += 1


ALL = [Steps, Locals, Signals]
"""
_START = datetime(2026, 3, 1, tzinfo=UTC)
_QUEUE = {"name": "bench", "kind": "TASK_QUEUE_KIND_NORMAL"}
_NOW = {"seconds": 1772323200, "nanos": 0}


def history(workflow: str, steps: int, number: int = 0) -> str:
    """One whole run as JSON text."""
    return json.dumps({"events": list(_Writer(number).run(workflow, steps))}, separators=(",", ":"))


def _payloads(value: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()
    return {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": data}]}


class _Writer:
    def __init__(self, number: int) -> None:
        self.number = number
        self.last = 0

    def event(self, kind: str, **attributes: Any) -> dict[str, Any]:
        self.last += 1
        words = kind.split("_")
        key = words[0].lower() + "".join(word.title() for word in words[1:]) + "EventAttributes"
        at = _START + timedelta(milliseconds=7 * self.last)
        return {
            "eventId": str(self.last),
            "eventTime": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
            "eventType": f"EVENT_TYPE_{kind}",
            "taskId": str(1_000_000 + self.last),
            key: attributes,
        }

    def run(self, workflow: str, steps: int) -> Iterator[dict[str, Any]]:
        run_id = f"{self.number:08d}-0000-7000-a000-000000000000"
        yield self.event(
            "WORKFLOW_EXECUTION_STARTED",
            workflowType={"name": workflow}, taskQueue=_QUEUE, input=_payloads(steps), workflowTaskTimeout="10s",
            originalExecutionRunId=run_id, firstExecutionRunId=run_id, attempt=1, identity="bench",
            firstWorkflowTaskBackoff="0s", header={}, workflowId="bench",
        )  # fmt: skip
        yield from {"Steps": self.activities, "Locals": self.locals, "Signals": self.signals}[workflow](steps)

    def task(self) -> Iterator[dict[str, Any]]:
        yield self.event("WORKFLOW_TASK_SCHEDULED", taskQueue=_QUEUE, startToCloseTimeout="10s", attempt=1)
        yield from self.started()

    def started(self) -> Iterator[dict[str, Any]]:
        scheduled = str(self.last)
        size = str(self.last * 400)
        yield self.event(
            "WORKFLOW_TASK_STARTED", scheduledEventId=scheduled, identity="w", requestId="r", historySizeBytes=size
        )
        flags = {
            "coreUsedFlags": [1, 2, 3, 4],
            "langUsedFlags": [1],
            "sdkName": "temporal-python",
            "sdkVersion": "1.35.0",
        }
        yield self.event(
            "WORKFLOW_TASK_COMPLETED", scheduledEventId=scheduled, startedEventId=str(self.last), identity="w",
            workerVersion={"buildId": "b1"}, sdkMetadata=flags if scheduled == "2" else {}, meteringMetadata={},
        )  # fmt: skip

    def activities(self, steps: int) -> Iterator[dict[str, Any]]:
        yield from self.task()
        for step in range(steps):
            yield self.event(
                "ACTIVITY_TASK_SCHEDULED", activityId=str(step + 1), activityType={"name": "score_trip"},
                taskQueue=_QUEUE, header={}, input=_payloads({"trip": step}), scheduleToCloseTimeout="0s",
                scheduleToStartTimeout="0s", startToCloseTimeout="30s", heartbeatTimeout="0s",
                workflowTaskCompletedEventId=str(self.last), useWorkflowBuildId=True,
                retryPolicy={"initialInterval": "1s", "backoffCoefficient": 2, "maximumInterval": "100s"},
            )  # fmt: skip
            scheduled = str(self.last)
            yield self.event(
                "ACTIVITY_TASK_STARTED", scheduledEventId=scheduled, identity="w", requestId="r", attempt=1
            )
            started = str(self.last)
            yield self.event(
                "ACTIVITY_TASK_COMPLETED", result=_payloads(step % 7), scheduledEventId=scheduled,
                startedEventId=started, identity="w",
            )  # fmt: skip
            yield from self.task()
        yield self.done(sum(step % 7 for step in range(steps)))

    def locals(self, steps: int) -> Iterator[dict[str, Any]]:
        """Ten in each task, as a worker that runs them one after the other writes them."""
        yield from self.task()
        for step in range(steps):
            data = {
                "seq": step + 1, "attempt": 1, "activity_id": str(step + 1), "activity_type": "score_trip",
                "complete_time": _NOW, "backoff": None, "original_schedule_time": _NOW,
                "activation_index": step % 10 + 1,
            }  # fmt: skip
            details = {"data": _payloads(data), "result": _payloads(step % 7)}
            yield self.event(
                "MARKER_RECORDED", markerName="core_local_activity", details=details,
                workflowTaskCompletedEventId=str(self.last),
            )  # fmt: skip
            if step % 10 == 9 and step < steps - 1:
                yield from self.task()
        yield self.done(sum(step % 7 for step in range(steps)))

    def signals(self, steps: int) -> Iterator[dict[str, Any]]:
        yield from self.task()
        for step in range(steps):
            yield self.event(
                "WORKFLOW_EXECUTION_SIGNALED",
                signalName="ring",
                input=_payloads(f"door {step}"),
                identity="c",
                header={},
            )
            if step % 4 == 3 or step == steps - 1:
                yield from self.task()
        yield self.done(steps)

    def done(self, result: Any) -> dict[str, Any]:
        return self.event(
            "WORKFLOW_EXECUTION_COMPLETED", result=_payloads(result), workflowTaskCompletedEventId=str(self.last)
        )
