"""Whether a run's commands are, down to the last value, what the record holds: the quick answer for the many that are.

Where a pair is not plainly alike it is compared with all care, as for a report. For activities, of which there are the
most, the outcome of that is remembered by everything that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from temporalio.bridge.proto.workflow_commands import ScheduleActivity

from replaytool.engines.temporal.core.command_queue import Matched
from replaytool.engines.temporal.core.task_batches import Tape
from replaytool.engines.temporal.events.event_structs import ActivityScheduled, RawPayload
from replaytool.engines.temporal.replay.produced_commands import Translator
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.server_defaults import comparable
from replaytool.model.verdict import Match
from replaytool.replay.compare import drift

_REMEMBERED = 4096


class Likeness:
    """Compares the pairs of many runs, with one way to decode values and one policy."""

    def __init__(self, decode: drift.Decode, policy: Mapping[str, drift.Level]) -> None:
        self._decode = decode
        self._policy = policy
        self._same: set[Any] = set()

    def is_plain(self, record: Record, tape: Tape, pairs: list[Matched]) -> bool:
        """Whether nothing at all would have to be told of these pairs."""
        return all(self._is_alike(record, tape, pair) for pair in pairs)

    def _is_alike(self, record: Record, tape: Tape, pair: Matched) -> bool:
        waiting = pair.waiting
        if waiting.machine.is_core_made:
            return True
        quick = _QUICK.get(waiting.kind)
        if quick is not None and quick(self, record, tape, pair):
            return True
        return self._compared(record, tape, pair)

    def _compared(self, record: Record, tape: Tape, pair: Matched) -> bool:
        if pair.waiting.command is None:
            return True
        actual = Translator().command(pair.waiting.command, None)
        match = Match(record.expected(tape.event(pair.place)), actual)
        return not drift.find_drift([match], self._decode, self._policy, partial(comparable, record=record))

    def _activity(self, record: Record, tape: Tape, pair: Matched) -> bool:
        recorded = tape.record(pair.place).attributes
        produced = pair.waiting.machine.attrs
        if not _same_values(recorded.input.payloads, produced.arguments):
            return False
        key = (record.run_timeout, _recorded_options(recorded), _produced_options(produced))
        if key in self._same:
            return True
        if not self._compared(record, tape, pair):
            return False
        if len(self._same) < _REMEMBERED:
            self._same.add(key)
        return True

    def _timer(self, record: Record, tape: Tape, pair: Matched) -> bool:
        recorded = tape.record(pair.place).attributes
        time = pair.waiting.machine.attrs.start_to_fire_timeout
        is_same_id = recorded.timer_id == str(pair.waiting.machine.seq)
        return bool(is_same_id and recorded.start_to_fire_timeout == time.ToJsonString())

    def _complete(self, record: Record, tape: Tape, pair: Matched) -> bool:
        command = pair.waiting.command
        result = command.complete_workflow_execution if command else None
        produced = [result.result] if result is not None and result.HasField("result") else []
        return _same_values(tape.record(pair.place).attributes.result.payloads, produced)

    def _update(self, record: Record, tape: Tape, pair: Matched) -> bool:
        recorded = tape.record(pair.place).attributes.outcome.success
        command = pair.waiting.command
        if recorded is None or command is None or not command.update_response.HasField("completed"):
            return False
        return _same_values(recorded.payloads, [command.update_response.completed])

    def _said_nothing(self, record: Record, tape: Tape, pair: Matched) -> bool:
        return True


_QUICK: dict[str, Callable[[Likeness, Record, Tape, Matched], bool]] = {
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
    for one, other in zip(recorded, produced, strict=True):
        found = other.metadata
        if one.data != other.data or len(one.metadata) != len(found):
            return False
        for key, value in one.metadata.items():
            if found.get(key) != value:
                return False
    return True


def _recorded_options(found: ActivityScheduled) -> bytes:
    return b"|".join(
        [
            found.task_queue,
            found.header,
            found.schedule_to_close_timeout,
            found.schedule_to_start_timeout,
            found.start_to_close_timeout,
            found.heartbeat_timeout,
            found.retry_policy,
            found.priority,
        ]
    )


def _produced_options(command: ScheduleActivity) -> bytes:
    """All that was asked for but for what each activity has of its own, and what was compared already."""
    rest = ScheduleActivity()
    rest.CopyFrom(command)
    for name in ("seq", "activity_id", "arguments"):
        rest.ClearField(name)
    return rest.SerializeToString(deterministic=True)
