"""Whether a run's commands are, down to the last value, what the record holds: the quick answer for the many that are.

Where a pair is not plainly alike it is compared with all care, as for a report. For activities, of which there are the
most, the outcome of that is remembered by everything that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from replaytool.history import Event
from replaytool.replay import drift
from replaytool.replay.temporal.filled import comparable
from replaytool.replay.temporal.line import Matched
from replaytool.replay.temporal.produced import Translator
from replaytool.replay.temporal.reading import NOTHING, RawPayload, RawPayloads, Struct
from replaytool.replay.temporal.record import Record
from replaytool.verdict import Match

_REMEMBERED = 4096


class _Options(Struct, frozen=True):
    """What an activity was scheduled with."""

    input: RawPayloads = RawPayloads()
    task_queue: msgspec.Raw = NOTHING
    header: msgspec.Raw = NOTHING
    schedule_to_close_timeout: msgspec.Raw = NOTHING
    schedule_to_start_timeout: msgspec.Raw = NOTHING
    start_to_close_timeout: msgspec.Raw = NOTHING
    heartbeat_timeout: msgspec.Raw = NOTHING
    retry_policy: msgspec.Raw = NOTHING
    priority: msgspec.Raw = NOTHING


class _Scheduled(Struct, frozen=True):
    activity_task_scheduled_event_attributes: _Options = _Options()


class _Duration(Struct, frozen=True):
    timer_id: str = ""
    start_to_fire_timeout: str = ""


class _Timer(Struct, frozen=True):
    timer_started_event_attributes: _Duration = _Duration()


class _Result(Struct, frozen=True):
    result: RawPayloads = RawPayloads()


class _Completed(Struct, frozen=True):
    workflow_execution_completed_event_attributes: _Result = _Result()


class _Outcome(Struct, frozen=True):
    success: RawPayloads | None = None


class _Update(Struct, frozen=True):
    outcome: _Outcome = _Outcome()


class _Updated(Struct, frozen=True):
    workflow_execution_update_completed_event_attributes: _Update = _Update()


_scheduled = msgspec.json.Decoder(_Scheduled, strict=False).decode
_timer = msgspec.json.Decoder(_Timer, strict=False).decode
_completed = msgspec.json.Decoder(_Completed, strict=False).decode
_updated = msgspec.json.Decoder(_Updated, strict=False).decode


class Likeness:
    """Compares the pairs of many runs, with one way to decode values and one policy."""

    def __init__(self, decode: drift.Decode, policy: Mapping[str, drift.Level]) -> None:
        self._decode = decode
        self._policy = policy
        self._same: set[Any] = set()

    def is_plain(self, record: Record, pairs: list[Matched]) -> bool:
        """Whether nothing at all would have to be told of these pairs."""
        events = record.run.events
        return all(self._is_alike(record, events[pair.place], pair) for pair in pairs)

    def _is_alike(self, record: Record, event: Event, pair: Matched) -> bool:
        waiting = pair.waiting
        if waiting.machine.is_core_made:
            return True
        quick = _QUICK.get(waiting.kind)
        if quick is not None and quick(self, record, event, pair):
            return True
        return self._compared(record, event, pair)

    def _compared(self, record: Record, event: Event, pair: Matched) -> bool:
        if pair.waiting.command is None:
            return True
        actual = Translator().command(pair.waiting.command, None)
        match = Match(record.expected(event), actual)
        return not drift.compare([match], self._decode, self._policy, partial(comparable, record=record))

    def _activity(self, record: Record, event: Event, pair: Matched) -> bool:
        recorded = _scheduled(event.raw).activity_task_scheduled_event_attributes
        produced = pair.waiting.machine.attrs
        if not _same_values(recorded.input.payloads, produced.arguments):
            return False
        key = (produced.activity_type, record.run_timeout, _recorded_options(recorded), _produced_options(produced))
        if key in self._same:
            return True
        if not self._compared(record, event, pair):
            return False
        if len(self._same) < _REMEMBERED:
            self._same.add(key)
        return True

    def _timer(self, record: Record, event: Event, pair: Matched) -> bool:
        recorded = _timer(event.raw).timer_started_event_attributes
        time = pair.waiting.machine.attrs.start_to_fire_timeout
        is_same_id = recorded.timer_id == str(pair.waiting.machine.seq)
        return is_same_id and recorded.start_to_fire_timeout == time.ToJsonString()

    def _complete(self, record: Record, event: Event, pair: Matched) -> bool:
        command = pair.waiting.command
        result = command.complete_workflow_execution if command else None
        produced = [result.result] if result is not None and result.HasField("result") else []
        return _same_values(
            _completed(event.raw).workflow_execution_completed_event_attributes.result.payloads, produced
        )

    def _update(self, record: Record, event: Event, pair: Matched) -> bool:
        recorded = _updated(event.raw).workflow_execution_update_completed_event_attributes.outcome.success
        command = pair.waiting.command
        if recorded is None or command is None or not command.update_response.HasField("completed"):
            return False
        return _same_values(recorded.payloads, [command.update_response.completed])

    def _said_nothing(self, record: Record, event: Event, pair: Matched) -> bool:
        return True


_QUICK: dict[str, Callable[[Likeness, Record, Event, Matched], bool]] = {
    "schedule_activity": Likeness._activity,
    "start_timer": Likeness._timer,
    "complete_workflow_execution": Likeness._complete,
    "update_complete": Likeness._update,
    "update_accept": Likeness._said_nothing,
    "set_patch_marker": Likeness._said_nothing,
}


def _same_values(recorded: list[RawPayload], produced: Any) -> bool:
    if len(recorded) != len(produced):
        return False
    return all(
        one.data == other.data and one.metadata == dict(other.metadata)
        for one, other in zip(recorded, produced, strict=True)
    )


def _recorded_options(found: _Options) -> tuple[bytes, ...]:
    return (
        bytes(found.task_queue),
        bytes(found.header),
        bytes(found.schedule_to_close_timeout),
        bytes(found.schedule_to_start_timeout),
        bytes(found.start_to_close_timeout),
        bytes(found.heartbeat_timeout),
        bytes(found.retry_policy),
        bytes(found.priority),
    )


def _produced_options(command: Any) -> tuple[Any, ...]:
    headers = tuple((name, one.SerializeToString()) for name, one in sorted(command.headers.items()))
    return (
        command.task_queue,
        headers,
        command.schedule_to_close_timeout.SerializeToString(),
        command.schedule_to_start_timeout.SerializeToString(),
        command.start_to_close_timeout.SerializeToString(),
        command.heartbeat_timeout.SerializeToString(),
        command.retry_policy.SerializeToString(),
        command.priority.SerializeToString(),
    )
