"""Apply the values that the server adds to an event, so that they are not reported as drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from replaytool.engines.temporal.replay.command_fields import drop_none_values, format_duration, parse_duration
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.model.verdict import MatchedPair
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.drift import Level
from replaytool.replay.options import Options

Fields = Mapping[str, Any]
_TO_CLOSE, _TO_START = "scheduleToCloseTimeout", "scheduleToStartTimeout"
_START_CLOSE, _HEARTBEAT = "startToCloseTimeout", "heartbeatTimeout"


def normalize_pair(pair: MatchedPair, record: RecordedHistory) -> tuple[Fields, Fields]:
    """Return the fields of both sides, the produced ones as the server would record them."""
    recorded, produced, kind = pair.expected.fields, pair.actual.fields, pair.expected.kind
    names = _INHERITED.get(kind, ())
    if kind == "continue_as_new":
        names = (*names, *record.upserted_fields)
    if names:
        recorded = _drop_inherited_fields(recorded, produced, names)
    if kind == "cancel_workflow" and not record.tells_cancel_reasons:
        recorded, produced = (
            {key: one for key, one in side.items() if key != "reason"} for side in (recorded, produced)
        )
    fill = _FILLED.get(kind)
    return recorded, _fill_as_recorded(recorded, produced, fill(produced, record)) if fill else produced


def _fill_as_recorded(recorded: Fields, produced: Fields, filled: Fields) -> Fields:
    """Return the filled fields, but the code's own value where the record has that one.

    Then another server wrote the record: the time-skipping test server gives a child no run time-out.
    """
    own = {key: produced.get(key) for key in filled if recorded.get(key) == produced.get(key)}
    return drop_none_values({**filled, **own})


def get_drift_policy(code: Code, options: Options) -> dict[str, Level]:
    """Return the drift policy: headers are ignored if the code is loaded without the interceptors that write them.

    A null for an absent key is ignored if the converter makes models, in which the two are one.
    """
    writes_headers = code.settings.get("interceptors") or code.settings.get("plugins")
    own: dict[str, Level] = {} if writes_headers else {"header": "ignore"}
    if _reads_null_as_absent(code.settings.get("data_converter")):
        own["null"] = "ignore"
    return {**own, **options.policy}


def _reads_null_as_absent(converter: Any) -> bool:
    """Return whether a model gets the same value from a key that is null and from one that is absent."""
    converters = getattr(getattr(converter, "payload_converter", None), "converters", None) or {}
    bases = [base for one in converters.values() for base in type(one).__mro__]
    return any(base.__module__ == "temporalio.contrib.pydantic" for base in bases)


# Where the code leaves these out, the server takes them from the run or from its own settings.
_INHERITED: dict[str, tuple[str, ...]] = {
    "child_workflow": ("taskQueue", "workflowTaskTimeout"),
    "continue_as_new": (
        "workflowType", "taskQueue", "workflowRunTimeout", "workflowTaskTimeout", "header", "backoffStartInterval",
    ),
    "nexus_operation": (_TO_CLOSE, _TO_START, _START_CLOSE),
}  # fmt: skip


def _drop_inherited_fields(recorded: Fields, produced: Fields, names: tuple[str, ...]) -> Fields:
    return {key: value for key, value in recorded.items() if key in produced or key not in names}


def _fill_activity_timeouts(fields: Fields, record: RecordedHistory) -> Fields:
    """Cap each time-out by the wider ones, and all by the run's, as the server does; 0 means no limit."""
    limit = record.run_timeout
    total, queue, single, beat = (
        parse_duration(fields.get(name)) for name in (_TO_CLOSE, _TO_START, _START_CLOSE, _HEARTBEAT)
    )
    total, queue, single = _cap_timeout(total, limit), _cap_timeout(queue, limit), _cap_timeout(single, limit)
    if total:
        queue, single = _cap_timeout(queue or total, total), _cap_timeout(single or total, total)
    elif single:
        total, queue = limit, queue or limit
    beat = _cap_timeout(beat, single)
    filled = {_TO_CLOSE: total, _TO_START: queue, _START_CLOSE: single, _HEARTBEAT: beat}
    return drop_none_values(
        {**fields, **{name: _keep_equal_text(fields.get(name), value) for name, value in filled.items()}}
    )


def _cap_timeout(value: float, limit: float) -> float:
    return min(value, limit) if value and limit else value


def _keep_equal_text(text: str | None, value: float) -> str | None:
    """Return the text as it is if it has this value: formatting it again could lose digits."""
    return text if parse_duration(text) == value else format_duration(value)


def _fill_child_timeout(fields: Fields, record: RecordedHistory) -> Fields:
    """Give a child's run the time-out of its whole execution, as the server does."""
    execution = fields.get("workflowExecutionTimeout")
    run = fields.get("workflowRunTimeout")
    return fields if not execution or run else {**fields, "workflowRunTimeout": execution}


def _fill_carried_values(fields: Fields, record: RecordedHistory) -> Fields:
    """Give the next run the memo and the search attributes of this one, as sdk-core does where the code gives none."""
    return {**record.carried_values, **fields}


_FILLED: dict[str, Callable[[Fields, RecordedHistory], Fields]] = {
    "activity": _fill_activity_timeouts,
    "child_workflow": _fill_child_timeout,
    "continue_as_new": _fill_carried_values,
}
