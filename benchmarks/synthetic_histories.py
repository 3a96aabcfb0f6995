"""Synthetic histories that look like what a server writes: growing ids and times, varied types, values and texts.

Written as text and not through the SDK, since a gigabyte of them has to be made in a minute.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 3, 1, tzinfo=UTC)
_ACTIVITIES = ("charge_card", "reserve_stock", "score_trip", "send_mail", "call_model", "fetch_profile")
_TEXT = (
    "order shipped to the customer after review of credit and stock level with note about late delivery window in "
    "region north east payment captured twice refunded once pending approval model answered tokens used summary"
)
_WORDS = _TEXT.split()


@dataclass(frozen=True)
class Shape:
    """What the histories of one mix are like."""

    steps: int
    """Activities in each run; a step is six events, or eight with its timer."""
    payload: int = 200
    """About how many bytes an argument or a result has."""
    random_payload: bool = False
    """Values that do not compress: ciphertext, images, embeddings."""


def events(seed: int, shape: Shape) -> Iterator[str]:
    """The events of one run, each as compact JSON in the spelling of today's server."""
    return _Writer(seed, shape).events()


def history(seed: int, shape: Shape) -> str:
    """One run as the CLI exports it, on one line."""
    return '{"events":[' + ",".join(events(seed, shape)) + "]}"


def pretty(text: str) -> str:
    """The same JSON as the CLI prints it for people."""
    return json.dumps(json.loads(text), indent=2)


def snake_case(text: str) -> str:
    """The same history with the names that some HTTP clients write."""
    return json.dumps(_respelled(json.loads(text), _snake, str))


def pascal_case(text: str) -> str:
    """The same history with the enum values that tctl wrote."""
    return json.dumps(_respelled(json.loads(text), str, _pascal))


class _Writer:
    """One run while it is being written."""

    def __init__(self, seed: int, shape: Shape) -> None:
        self.random = random.Random(seed)
        self.shape = shape
        self.run_id = _uuid(self.random)
        self.number = 0
        self.at = _START + timedelta(seconds=seed * 7.3)
        self.task = 1_000_000 + seed * 1000
        self.build = f"v{1 + seed % 5}.{self.random.randrange(9)}"

    def events(self) -> Iterator[str]:
        yield self._started()
        for step in range(self.shape.steps):
            yield from self._task()
            if step % 3 == 2:
                yield self._event("TIMER_STARTED", _timer(step, self.number))
                yield self._event("TIMER_FIRED", f'{{"timerId":"{step}","startedEventId":"{self.number}"}}')
            if step % 10 == 9:
                yield self._event("WORKFLOW_EXECUTION_SIGNALED", self._signal())
            yield from self._activity(step)
        yield from self._task()
        closing = f'{{"result":{self._payloads()},"workflowTaskCompletedEventId":"{self.number}"}}'
        yield self._event("WORKFLOW_EXECUTION_COMPLETED", closing)

    def _event(self, kind: str, attributes: str) -> str:
        self.number += 1
        self.task += self.random.randrange(1, 9)
        self.at += timedelta(microseconds=self.random.randrange(500, 400_000))
        words = kind.split("_")
        key = words[0].lower() + "".join(word.title() for word in words[1:]) + "EventAttributes"
        nanoseconds = self.random.randrange(1000)
        return (
            f'{{"eventId":"{self.number}","eventTime":"{self.at:%Y-%m-%dT%H:%M:%S.%f}{nanoseconds:03}Z",'
            f'"eventType":"EVENT_TYPE_{kind}","taskId":"{self.task}","{key}":{attributes}}}'
        )

    def _started(self) -> str:
        return self._event(
            "WORKFLOW_EXECUTION_STARTED",
            f'{{"workflowType":{{"name":"OrderWorkflow"}},"taskQueue":{{"name":"orders","kind":"TASK_QUEUE_KIND_NORMAL"'
            f'}},"input":{self._payloads()},"workflowExecutionTimeout":"0s","workflowRunTimeout":"0s",'
            f'"workflowTaskTimeout":"10s","originalExecutionRunId":"{self.run_id}","identity":"41@web-7",'
            f'"firstExecutionRunId":"{self.run_id}","attempt":1,"firstWorkflowTaskBackoff":"0s","header":{{}},'
            f'"workflowId":"order-{self.run_id[:8]}"}}',
        )

    def _task(self) -> Iterator[str]:
        yield self._event(
            "WORKFLOW_TASK_SCHEDULED",
            '{"taskQueue":{"name":"orders","kind":"TASK_QUEUE_KIND_NORMAL"},"startToCloseTimeout":"10s","attempt":1}',
        )
        scheduled = self.number
        yield self._event(
            "WORKFLOW_TASK_STARTED",
            f'{{"scheduledEventId":"{scheduled}","identity":"1@worker-{scheduled % 9}","requestId":'
            f'"{_uuid(self.random)}","historySizeBytes":"{self.number * 400}","workerVersion":{{"buildId":"{self.build}'
            '"}}',
        )
        flags = '"sdkMetadata":{"langUsedFlags":[1,2],"sdkName":"temporal-python","sdkVersion":"1.35.0"},'
        yield self._event(
            "WORKFLOW_TASK_COMPLETED",
            f'{{"scheduledEventId":"{scheduled}","startedEventId":"{scheduled + 1}","identity":"1@worker-'
            f'{scheduled % 9}","workerVersion":{{"buildId":"{self.build}"}},{flags if scheduled == 2 else ""}'
            '"meteringMetadata":{}}',
        )

    def _activity(self, step: int) -> Iterator[str]:
        name = self.random.choice(_ACTIVITIES)
        yield self._event(
            "ACTIVITY_TASK_SCHEDULED",
            f'{{"activityId":"{step + 1}","activityType":{{"name":"{name}"}},"taskQueue":{{"name":"orders","kind":'
            f'"TASK_QUEUE_KIND_NORMAL"}},"header":{{}},"input":{self._payloads()},"scheduleToCloseTimeout":"0s",'
            f'"scheduleToStartTimeout":"0s","startToCloseTimeout":"30s","heartbeatTimeout":"0s",'
            f'"workflowTaskCompletedEventId":"{self.number}","retryPolicy":{{"initialInterval":"1s",'
            f'"backoffCoefficient":2,"maximumInterval":"100s"}},"useWorkflowBuildId":true}}',
        )
        scheduled = self.number
        yield self._event(
            "ACTIVITY_TASK_STARTED",
            f'{{"scheduledEventId":"{scheduled}","identity":"1@worker-{step % 9}","requestId":"{_uuid(self.random)}",'
            f'"attempt":{1 + step % 2},"workerVersion":{{"buildId":"{self.build}"}}}}',
        )
        yield self._event(
            "ACTIVITY_TASK_COMPLETED",
            f'{{"result":{self._payloads()},"scheduledEventId":"{scheduled}","startedEventId":"{scheduled + 1}",'
            f'"identity":"1@worker-{step % 9}"}}',
        )

    def _signal(self) -> str:
        return f'{{"signalName":"approve","input":{self._payloads()},"identity":"cli@laptop","header":{{}}}}'

    def _payloads(self) -> str:
        encoding = "YmluYXJ5L2VuY3J5cHRlZA==" if self.shape.random_payload else "anNvbi9wbGFpbg=="
        data = base64.b64encode(self._value()).decode()
        return f'{{"payloads":[{{"metadata":{{"encoding":"{encoding}"}},"data":"{data}"}}]}}'

    def _value(self) -> bytes:
        if self.shape.random_payload:
            return self.random.randbytes(self.shape.payload * 3 // 4)
        text = " ".join(self.random.choices(_WORDS, k=max(1, self.shape.payload // 10)))
        return (
            f'{{"order":{self.random.randrange(10**9)},"amount":{self.random.random() * 900:.2f},'
            f'"customer":"{_uuid(self.random)}","note":"{text}"}}'
        ).encode()


def _timer(step: int, completed: int) -> str:
    return (
        f'{{"timerId":"{step}","startToFireTimeout":"{step % 50 + 1}s","workflowTaskCompletedEventId":"{completed}"}}'
    )


def _uuid(source: random.Random) -> str:
    digits = f"{source.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _snake(key: str) -> str:
    return "".join("_" + char.lower() if char.isupper() else char for char in key)


def _pascal(value: str) -> str:
    for prefix in ("EVENT_TYPE_", "TASK_QUEUE_KIND_"):
        if value.startswith(prefix):
            return value.removeprefix(prefix).title().replace("_", "")
    return value


def _respelled(value: object, key: Callable[[str], str], text: Callable[[str], str]) -> object:
    if isinstance(value, dict):
        return {key(name): _respelled(item, key, text) for name, item in value.items()}
    if isinstance(value, list):
        return [_respelled(item, key, text) for item in value]
    return text(value) if isinstance(value, str) else value
