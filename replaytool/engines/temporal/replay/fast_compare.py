"""Check quickly that a run's commands equal the recorded ones down to the last value. Most runs do.

A pair that is not equal byte for byte is compared in full, as for a report. For activities, the most frequent kind,
the result of the full comparison is cached by everything that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from temporalio.api.common.v1 import Payload as ProtoPayload
from temporalio.bridge.proto.workflow_commands import ScheduleActivity

from replaytool.engines.temporal.core.history_batches import HistoryBatches
from replaytool.engines.temporal.core.queued_command import MatchedCommand
from replaytool.engines.temporal.core.state_machines.external_workflow import CancelExternalMachine
from replaytool.engines.temporal.events.event_structs import ActivityScheduled, RawPayload
from replaytool.engines.temporal.replay.command_fields import drop_none_values
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.server_defaults import normalize_pair
from replaytool.model.verdict import Command, MatchedPair
from replaytool.replay.compare import drift

_REMEMBERED = 4096


class FastComparer:
    """Compares the pairs of many runs under one decoder and one drift policy."""

    def __init__(self, decode: drift.Decode, policy: Mapping[str, drift.Level]) -> None:
        self._decode = decode
        self._policy = policy
        self._same: set[tuple[float, bytes, bytes]] = set()

    def are_all_equal(self, record: RecordedHistory, tape: HistoryBatches, pairs: list[MatchedCommand]) -> bool:
        """Return whether no pair shows drift."""
        return all(self._is_equal(record, tape, pair) for pair in pairs)

    def _is_equal(self, record: RecordedHistory, tape: HistoryBatches, pair: MatchedCommand) -> bool:
        waiting = pair.waiting
        if waiting.machine.is_core_made:
            machine = waiting.machine
            return not isinstance(machine, CancelExternalMachine) or self._is_reason_equal(record, tape, pair, machine)
        quick = _QUICK.get(waiting.kind)
        if quick is not None and quick(self, record, tape, pair):
            return True
        return self._is_equal_in_full(record, tape, pair)

    def _is_reason_equal(
        self, record: RecordedHistory, tape: HistoryBatches, pair: MatchedCommand, machine: CancelExternalMachine
    ) -> bool:
        expected = record.expected_command(tape.recorded_event(pair.place))
        fields = drop_none_values({**expected.fields, "reason": machine.reason or None})
        actual = Command(expected.kind, expected.name, fields, None)
        normalize = partial(normalize_pair, record=record)
        return not drift.find_drift([MatchedPair(expected, actual)], self._decode, self._policy, normalize)

    def _is_equal_in_full(self, record: RecordedHistory, tape: HistoryBatches, pair: MatchedCommand) -> bool:
        if pair.waiting.command is None:
            return True
        actual = CommandTranslator().translate_command(pair.waiting.command, None)
        match = MatchedPair(record.expected_command(tape.recorded_event(pair.place)), actual)
        return not drift.find_drift([match], self._decode, self._policy, partial(normalize_pair, record=record))

    def _is_activity_equal(self, record: RecordedHistory, tape: HistoryBatches, pair: MatchedCommand) -> bool:
        recorded = tape.read_event(pair.place).attributes
        produced = pair.waiting.machine.attrs
        if not _are_values_equal(recorded.input.payloads, produced.arguments):
            return False
        key = (record.run_timeout, _join_recorded_options(recorded), _serialize_produced_options(produced))
        if key in self._same:
            return True
        if not self._is_equal_in_full(record, tape, pair):
            return False
        if len(self._same) < _REMEMBERED:
            self._same.add(key)
        return True

    def _is_timer_equal(self, record: RecordedHistory, tape: HistoryBatches, pair: MatchedCommand) -> bool:
        recorded = tape.read_event(pair.place).attributes
        time = pair.waiting.machine.attrs.start_to_fire_timeout
        is_same_id = recorded.timer_id == str(pair.waiting.machine.seq)
        return bool(is_same_id and recorded.start_to_fire_timeout == time.ToJsonString())

    def _is_result_equal(self, record: RecordedHistory, tape: HistoryBatches, pair: MatchedCommand) -> bool:
        command = pair.waiting.command
        result = command.complete_workflow_execution if command else None
        produced = [result.result] if result is not None and result.HasField("result") else []
        return _are_values_equal(tape.read_event(pair.place).attributes.result.payloads, produced)

    def _is_update_result_equal(self, record: RecordedHistory, tape: HistoryBatches, pair: MatchedCommand) -> bool:
        recorded = tape.read_event(pair.place).attributes.outcome.success
        command = pair.waiting.command
        if recorded is None or command is None or not command.update_response.HasField("completed"):
            return False
        return _are_values_equal(recorded.payloads, [command.update_response.completed])

    def _has_no_values(self, record: RecordedHistory, tape: HistoryBatches, pair: MatchedCommand) -> bool:
        return True


_QUICK: dict[str, Callable[[FastComparer, RecordedHistory, HistoryBatches, MatchedCommand], bool]] = {
    "schedule_activity": FastComparer._is_activity_equal,
    "start_timer": FastComparer._is_timer_equal,
    "complete_workflow_execution": FastComparer._is_result_equal,
    "update_complete": FastComparer._is_update_result_equal,
    "update_accept": FastComparer._has_no_values,
    "set_patch_marker": FastComparer._has_no_values,
}


def _are_values_equal(recorded: list[RawPayload], produced: Sequence[ProtoPayload]) -> bool:
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


def _join_recorded_options(found: ActivityScheduled) -> bytes:
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


def _serialize_produced_options(command: ScheduleActivity) -> bytes:
    """Return the command without its ids, and without the arguments, which were compared before."""
    rest = ScheduleActivity()
    rest.CopyFrom(command)
    for name in ("seq", "activity_id", "arguments"):
        rest.ClearField(name)
    return rest.SerializeToString(deterministic=True)
