"""Recognize histories of engines that are not supported, to refuse them by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from replaytool.errors import ErrorCode
from replaytool.formats.base import Unreadable
from replaytool.model.history import Run, RunHints

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
        raise unsupported_error(self.about)
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


def unsupported_error(engine: str) -> Unreadable:
    """Return the error for a history of this engine."""
    return Unreadable(
        f"a history of {engine}, which is not supported",
        "`replaytool formats` lists the formats",
        code=ErrorCode.FORMAT_UNSUPPORTED,
    )
