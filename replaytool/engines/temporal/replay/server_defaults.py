"""What the server writes into an event that the code never said, so that nobody is told of it as a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from replaytool.engines.temporal.replay.command_fields import duration_text, given, seconds_of
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.model.verdict import Match

Fields = Mapping[str, Any]
_TO_CLOSE, _TO_START = "scheduleToCloseTimeout", "scheduleToStartTimeout"
_START_CLOSE, _HEARTBEAT = "startToCloseTimeout", "heartbeatTimeout"


def comparable(pair: Match, record: Record) -> tuple[Fields, Fields]:
    """Both halves, the produced one as the server would have written it down."""
    recorded, produced = pair.expected.fields, pair.actual.fields
    if pair.expected.kind in _INHERITED:
        recorded = _without_inherited(recorded, produced, _INHERITED[pair.expected.kind])
    fill = _FILLED.get(pair.expected.kind)
    return recorded, fill(produced, record) if fill else produced


# Where the code says nothing about these, they are taken over from the run or from the server's settings.
_INHERITED: dict[str, tuple[str, ...]] = {
    "child_workflow": ("taskQueue", "workflowTaskTimeout"),
    "continue_as_new": (
        "workflowType", "taskQueue", "workflowRunTimeout", "workflowTaskTimeout", "header", "memo", "searchAttributes",
        "backoffStartInterval",
    ),
    "nexus_operation": (_TO_CLOSE, _TO_START, _START_CLOSE),
}  # fmt: skip


def _without_inherited(recorded: Fields, produced: Fields, names: tuple[str, ...]) -> Fields:
    return {key: value for key, value in recorded.items() if key in produced or key not in names}


def _activity(fields: Fields, record: Record) -> Fields:
    """Each time-out bounds the ones inside it, and the run's own bounds them all; 0 is no bound."""
    limit = record.run_timeout
    total, queue, single, beat = (
        seconds_of(fields.get(name)) for name in (_TO_CLOSE, _TO_START, _START_CLOSE, _HEARTBEAT)
    )
    total, queue, single = _within(total, limit), _within(queue, limit), _within(single, limit)
    if total:
        queue, single = _within(queue or total, total), _within(single or total, total)
    elif single:
        total, queue = limit, queue or limit
    beat = _within(beat, single)
    filled = {_TO_CLOSE: total, _TO_START: queue, _START_CLOSE: single, _HEARTBEAT: beat}
    return given({**fields, **{name: _unchanged(fields.get(name), value) for name, value in filled.items()}})


def _within(value: float, limit: float) -> float:
    return min(value, limit) if value and limit else value


def _unchanged(text: str | None, value: float) -> str | None:
    """The text as it was wherever it says the same: digits are not lost on the way."""
    return text if seconds_of(text) == value else duration_text(value)


def _child(fields: Fields, record: Record) -> Fields:
    """A child's whole execution bounds each of its runs."""
    execution = fields.get("workflowExecutionTimeout")
    run = fields.get("workflowRunTimeout")
    return fields if not execution or run else {**fields, "workflowRunTimeout": execution}


_FILLED: dict[str, Callable[[Fields, Record], Fields]] = {"activity": _activity, "child_workflow": _child}
