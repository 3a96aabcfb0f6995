"""Recognize histories of engines that are not supported, to refuse them by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from replaytool.errors import ErrorCode
from replaytool.formats.base import Unreadable
from replaytool.model.history import Run, RunHints

_CADENCE_KEYS = {
    "executionStartToCloseTimeoutSeconds",
    "taskStartToCloseTimeoutSeconds",
    "execution_start_to_close_timeout",
    "task_start_to_close_timeout",
}


# Only Temporal spells the time of an event so. The other engines' field names may also stand in a Temporal payload.
_TEMPORAL = re.compile(rb'"event_?[tT]ime"')


@dataclass(frozen=True)
class UnsupportedFormat:
    """An engine whose histories are recognized but not read."""

    name: str
    engine: str
    about: str
    looks_like: re.Pattern[bytes]

    def matches_head(self, head: bytes) -> bool:
        """Return whether this engine's field names stand in the text, and not inside a value of a Temporal history."""
        return _TEMPORAL.search(head) is None and self.looks_like.search(head) is not None

    def read_runs(self, stream: BinaryIO, hints: RunHints) -> Iterator[Run]:
        """Raise Unreadable with the name of the engine."""
        raise _unsupported_error(self.about)
        yield


AWS_LAMBDA_DURABLE = UnsupportedFormat(
    "aws-lambda-durable",
    "aws-lambda-durable",
    "AWS Lambda durable execution",
    re.compile(rb'"EventType"\s*:\s*"(Execution|Step|Wait|Context|Callback|ChainedInvoke)\w+"'),
)
AWS_SWF = UnsupportedFormat("aws-swf", "aws-swf", "AWS Simple Workflow", re.compile(rb'"eventTimestamp"\s*:\s*[\d"]'))
DURABLE_TASK = UnsupportedFormat(
    "durabletask", "durabletask", "Durable Task", re.compile(rb'"\$type"\s*:\s*"[^"]*DurableTask')
)


def refuse_cadence(event: dict[str, object]) -> None:
    """Raise Unreadable for a Cadence history. Only the timeouts of the first event tell it from Temporal before 1.0."""
    event_id = event.get("eventId", event.get("event_id"))
    if event_id not in (1, "1"):
        return
    started = event.get("workflowExecutionStartedEventAttributes") or event.get(
        "workflow_execution_started_event_attributes"
    )
    kind = str(event.get("eventType", event.get("event_type", "")))
    if isinstance(started, dict) and started.keys() & _CADENCE_KEYS and not kind.lower().startswith("event"):
        raise _unsupported_error("Cadence")


def _unsupported_error(engine: str) -> Unreadable:
    return Unreadable(
        f"a history of {engine}, which is not supported",
        "`replaytool formats` lists the formats",
        code=ErrorCode.FORMAT_UNSUPPORTED,
    )
