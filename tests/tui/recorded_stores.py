"""Stores with recorded, generated and hostile runs in them, made once for all tests that only read."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from benchmarks import synthetic_histories as histories
from replaytool import config, ingest
from replaytool.session import Session
from tests.support.paths import FIXTURES

FEW = ("loyalty", "updates", "timers", "build_ids", "child_completed", "activity_retries", "stuck_on_exception")
EVIL = "\x1b[31mred\x1b]0;title\x07 [bold]markup[/] [/nope] \u202eltr\u2066\u200b\r\n"


def store(path: Path, *sources: Path) -> Session:
    """A new store at this path with these files in it."""
    session = Session(config.Settings(store=path))
    nobody = ingest.LoadObserver(lambda name, events: None, lambda bad: None)
    session.load_paths([str(source) for source in sources], None, nobody)
    return session


def recorded(*names: str) -> list[Path]:
    """The histories of some fixtures, in a stable order."""
    return [file for name in names for file in sorted((FIXTURES / name).glob("history*.json"))]


def generated(path: Path, steps: int, seed: int = 1) -> Path:
    """A history with about seven events for each step."""
    path.write_text(histories.history(seed, histories.Shape(steps)))
    return path


def hostile(path: Path) -> Path:
    """A history in which every text that others wrote attacks whoever shows it."""
    history = json.loads((FIXTURES / "activities_in_sequence" / "history.json").read_bytes())
    started = history["events"][0]["workflowExecutionStartedEventAttributes"]
    started |= {"workflowId": "id" + EVIL, "workflowType": {"name": "Type" + EVIL}, "identity": EVIL}
    started["input"] = {"payloads": [_payload(EVIL), _payload("x" * 1_000_000), _payload({EVIL: [EVIL] * 3})]}
    for event in history["events"]:
        for key in ("activityTaskScheduledEventAttributes", "activityTaskCompletedEventAttributes"):
            if key in event and "activityType" in event[key]:
                event[key]["activityType"]["name"] = "act" + EVIL
            if key in event and "result" in event[key]:
                event[key]["result"] = {"payloads": [_payload("\u05d0\u0627\u202e" * 50_000)]}
    path.write_text(json.dumps(history))
    return path


def hostile_and_long(path: Path, steps: int) -> Path:
    """The same attacks in every activity of a long history."""
    history = json.loads(histories.history(1, histories.Shape(steps)))
    for event in history["events"]:
        for key, found in event.items():
            if key.endswith("EventAttributes") and isinstance(found, dict):
                if "activityType" in found:
                    found["activityType"]["name"] = "act" + EVIL
                for carried in ("input", "result"):
                    if carried in found:
                        found[carried] = {"payloads": [_payload(EVIL)]}
    middle = next(event for event in history["events"][len(history["events"]) // 2 :] if "TimerFired" not in event)
    middle["workflowTaskScheduledEventAttributes"] = {"taskQueue": {"name": "x" * 1_000_000}}
    middle["eventType"] = "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED"
    for key in [key for key in middle if key.endswith("EventAttributes") and "TaskScheduled" not in key]:
        del middle[key]
    path.write_text(json.dumps(history))
    return path


def _payload(value: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(value).encode()).decode()
    return {"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": data}


class Story:
    """A run told event by event, the same on every day: two builds, a signal, a timer, a child, a failure."""

    def __init__(self, workflow_id: str, amount: int, *, fails: bool) -> None:
        self.events: list[dict[str, Any]] = []
        self.workflow_id, self.amount, self.fails = workflow_id, amount, fails

    def write(self, folder: Path) -> Path:
        """One history file."""
        self._tell()
        path = folder / f"{self.workflow_id}.json"
        path.write_text(json.dumps({"events": self.events}))
        return path

    def _tell(self) -> None:
        self._add(
            "WORKFLOW_EXECUTION_STARTED", workflowId=self.workflow_id, workflowType={"name": "Order"},
            originalExecutionRunId=f"run-{self.workflow_id}", input={"payloads": [_payload({"amount": self.amount})]},
            taskQueue={"name": "orders"}, memo={"fields": {"customer": _payload("ada")}},
            searchAttributes={"indexedFields": {"Region": _payload("north")}},
        )  # fmt: skip
        self._task("v1")
        self._activity("charge_card", "COMPLETED", result={"payloads": [_payload(f"charged {self.amount}")]})
        self._task("v1")
        self._add("TIMER_STARTED", timerId="1", startToFireTimeout="30s", workflowTaskCompletedEventId=self._last)
        timer = self._last
        self._add("WORKFLOW_EXECUTION_SIGNALED", signalName="approve", input={"payloads": [_payload("yes")]})
        self._task("v1")
        self._add(
            "START_CHILD_WORKFLOW_EXECUTION_INITIATED", workflowId="parcel-1", workflowType={"name": "Parcel"},
            workflowTaskCompletedEventId=self._last,
        )  # fmt: skip
        child = self._last
        self._add("TIMER_FIRED", timerId="1", startedEventId=timer)
        self._add("CHILD_WORKFLOW_EXECUTION_STARTED", initiatedEventId=child, workflowType={"name": "Parcel"})
        self._task("v2")
        failure = {"message": "no stock", "applicationFailureInfo": {"type": "Empty"}, "stackTrace": "line 1\nline 2"}
        ending = (
            ("FAILED", {"failure": failure}) if self.fails else ("COMPLETED", {"result": {"payloads": [_payload(1)]}})
        )
        self._activity("ship", ending[0], **ending[1])
        self._task("v2")
        self._add(f"WORKFLOW_EXECUTION_{ending[0]}", **ending[1], workflowTaskCompletedEventId=self._last)

    @property
    def _last(self) -> int:
        return len(self.events)

    def _add(self, kind: str, **found: Any) -> None:
        number = len(self.events) + 1
        words = kind.split("_")
        key = words[0].lower() + "".join(word.title() for word in words[1:]) + "EventAttributes"
        self.events.append(
            {"eventId": str(number), "eventTime": f"2026-05-04T10:00:{number:02}.250Z",
             "eventType": f"EVENT_TYPE_{kind}", "taskId": str(1000 + number), key: found}
        )  # fmt: skip

    def _task(self, build: str) -> None:
        self._add("WORKFLOW_TASK_SCHEDULED", taskQueue={"name": "orders"}, attempt=1)
        scheduled = self._last
        self._add("WORKFLOW_TASK_STARTED", scheduledEventId=scheduled, workerVersion={"buildId": build})
        flags = {"langUsedFlags": [1], "sdkName": "temporal-python", "sdkVersion": "1.35.0"}
        self._add(
            "WORKFLOW_TASK_COMPLETED", scheduledEventId=scheduled, startedEventId=scheduled + 1,
            workerVersion={"buildId": build}, sdkMetadata=flags,
        )  # fmt: skip

    def _activity(self, name: str, outcome: str, **found: Any) -> None:
        self._add(
            "ACTIVITY_TASK_SCHEDULED", activityId=str(self._last), activityType={"name": name},
            input={"payloads": [_payload(self.amount)]}, workflowTaskCompletedEventId=self._last,
        )  # fmt: skip
        scheduled = self._last
        self._add("ACTIVITY_TASK_STARTED", scheduledEventId=scheduled, attempt=1)
        self._add(f"ACTIVITY_TASK_{outcome}", scheduledEventId=scheduled, startedEventId=scheduled + 1, **found)


def stories(folder: Path) -> Session:
    """A store of three told runs."""
    told = (Story("order-1", 10, fails=False), Story("order-2", 25, fails=True), Story("order-3", 10, fails=False))
    return store(folder / "runs.duckdb", *(one.write(folder) for one in told))
