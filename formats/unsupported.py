"""Histories of other engines, recognised so that they are refused by name and never loaded as garbage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from replaytool.formats.base import Unreadable
from replaytool.model.history import Hints, Run

_CADENCE_KEYS = {
    "executionStartToCloseTimeoutSeconds",
    "taskStartToCloseTimeoutSeconds",
    "execution_start_to_close_timeout",
    "task_start_to_close_timeout",
}


# Only Temporal calls an event's time so; the other engines' words can stand in the values that it carries.
_TEMPORAL = re.compile(rb'"event_?[tT]ime"')


@dataclass(frozen=True)
class Foreign:
    """An engine whose histories are known by sight and not read yet."""

    name: str
    engine: str
    about: str
    looks_like: re.Pattern[bytes]

    def sniff(self, head: bytes) -> bool:
        """Whether this engine's own words stand early in the text, and are not what a Temporal workflow handled."""
        return _TEMPORAL.search(head) is None and self.looks_like.search(head) is not None

    def read(self, stream: BinaryIO, hints: Hints) -> Iterator[Run]:
        """Always refuses: the file is named for what it is."""
        raise _refusal(self.about)
        yield


FOREIGN = (
    Foreign(
        "aws-lambda-durable",
        "aws-lambda-durable",
        "AWS Lambda durable execution",
        re.compile(rb'"EventType"\s*:\s*"(Execution|Step|Wait|Context|Callback|ChainedInvoke)\w+"'),
    ),
    Foreign("aws-swf", "aws-swf", "AWS Simple Workflow", re.compile(rb'"eventTimestamp"\s*:\s*[\d"]')),
    Foreign("durabletask", "durabletask", "Durable Task", re.compile(rb'"\$type"\s*:\s*"[^"]*DurableTask')),
)


def refuse_foreign(event: dict[str, Any]) -> None:
    """Cadence writes nearly what Temporal wrote before 1.0: only the first event's time-outs tell them apart."""
    event_id = event.get("eventId", event.get("event_id"))
    if event_id not in (1, "1"):
        return
    started = event.get("workflowExecutionStartedEventAttributes") or event.get(
        "workflow_execution_started_event_attributes"
    )
    kind = str(event.get("eventType", event.get("event_type", "")))
    if isinstance(started, dict) and started.keys() & _CADENCE_KEYS and not kind.lower().startswith("event"):
        raise _refusal("Cadence")


def _refusal(engine: str) -> Unreadable:
    return Unreadable(f"a history of {engine}, which replaytool does not read", "it reads Temporal histories")
