"""Match a tape with its history: the command queue takes the commands of the tape and the events of the history.

The tape holds the jobs that the code got and the commands that it issued, so no code runs here. Every rule of matching
is in `core.command_queue` and its state machines. This module feeds them, and returns pairs and the first mismatch as
values for a report. It gives no verdict: how the replay ended is the replayer's outcome.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec
from google.protobuf.json_format import ParseError
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.client import WorkflowHistory

from replaytool.engines.temporal.core.command_queue import CommandQueue
from replaytool.engines.temporal.core.history_batches import HistoryBatches
from replaytool.engines.temporal.core.queued_command import QueuedCommand
from replaytool.engines.temporal.core.sdk_flags import ObservedFlags
from replaytool.engines.temporal.core.state_machines.base import Fault, StateMachine
from replaytool.engines.temporal.core.state_machines.external_workflow import CancelExternalMachine
from replaytool.engines.temporal.core.state_machines.local_activity import (
    LOCAL_ACTIVITY,
    read_local_activity_marker,
)
from replaytool.engines.temporal.core.state_machines.patch import PatchMachine, read_patch_marker
from replaytool.engines.temporal.core.state_machines.timer import TimerMachine
from replaytool.engines.temporal.core.state_machines.update import UpdateMachine
from replaytool.engines.temporal.events.decoding import RECORDS
from replaytool.engines.temporal.events.event_structs import EventPart, MarkerRecorded, TimerFired
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS
from replaytool.engines.temporal.replay.command_fields import drop_none_values
from replaytool.engines.temporal.replay.command_kinds import BY_KIND
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory, run_from_json
from replaytool.engines.temporal.sdk.recorder import RecordedActivation
from replaytool.model.history import Run, encode_history
from replaytool.model.verdict import ActivationJob, Command
from replaytool.replay.compare.mismatch import MatchedPairs, Mismatch, differing_fields

# An event without a decoder is never matched: a mismatch there would go unnoticed.
assert RECORDS.keys() >= COMMAND_EVENTS, f"no decoder for {COMMAND_EVENTS - RECORDS.keys()}"


class _StrictFlags(ObservedFlags):
    """Flags that ask for every comparison. sdk-core makes some only if the history records the flag for them."""

    def requires_check(self, flag: int, *, in_last: bool = False) -> bool:
        """Return True; note in `left_out` where the SDK itself would not compare."""
        super().requires_check(flag, in_last=in_last)
        return True


class TapeMatcher:
    """The command queue of one tape, with what the replay loop (`WorkflowMachines`) does for it in a replay."""

    def __init__(self, record: RecordedHistory, *, strict: bool = True) -> None:
        self._record = record
        self.history = _read_history(record.run)
        self.flags: ObservedFlags = _StrictFlags() if strict else ObservedFlags()
        self.replaying = True
        self.in_last_batch = False
        self.has_jobs = False
        self.queue = CommandQueue(self)
        self.pairs = MatchedPairs()
        self.mismatch: Mismatch | None = None
        self._translator = CommandTranslator()
        self._commands: dict[int, Command] = {}
        """By the `id()` of their message, which the tape keeps alive."""
        self._place = 0
        """The place of the next event to apply."""

    # `QueueHost`: the tape already holds the jobs, the times and the tasks that the state machines lead to.

    def queue_job(self, job: WorkflowActivationJob) -> None:
        """Drop the job."""

    def issue_command(self, machine: StateMachine, kind: str) -> None:
        """Put one more command of this machine into the command queue."""
        self.queue.issue_command(machine, kind)

    def issue_external_cancel(self, child: StateMachine, reason: str) -> None:
        """Put the request to cancel this child workflow into the command queue."""
        self.queue.issue_external_cancel(child, reason)

    def cancel_local_activity(self, seq: int) -> Fault | None:
        """Do nothing: `_resolve_local_activity` resolves it at the event of its marker."""
        return None

    def advance_clock(self, time: int) -> None:
        """Ignore the time."""

    def current_event_time(self) -> int | None:
        """Return None: the state machines of commands use no time."""
        return None

    def start_workflow_task(self, started_id: int, time: int) -> None:
        """Do nothing: no state machine of a workflow task is made here."""

    # Activations of the tape.

    def add_jobs(self, jobs: Iterable[WorkflowActivationJob]) -> tuple[ActivationJob, ...]:
        """Take the updates and patches that the jobs of an activation announce; return all its jobs as values."""
        values = []
        for job in jobs:
            values.append(self._translator.translate_job(job))
            if job.HasField("do_update"):
                self.queue.updates[job.do_update.protocol_instance_id] = UpdateMachine(None, job.do_update)
            elif job.HasField("notify_has_patch"):
                self.queue.patches[job.notify_has_patch.patch_id] = False
        return tuple(values)

    def add_commands(self, activation: RecordedActivation) -> list[Command]:
        """Take the commands of an activation; return them as values, in order."""
        made = []
        for command, site in zip(activation.commands, activation.sites, strict=True):
            assert id(command) not in self._commands, "a message on the tape is one command"
            value = self._commands[id(command)] = self._translator.translate_command(command, site)
            made.append(value)
        self._observe_flags(activation.event_id)
        self.replaying = activation.replaying
        self.queue.take_commands(activation.commands)  # a fault here stops the replayer too: its outcome names it
        return made

    def take_new_commands(self, before: Iterable[QueuedCommand]) -> list[Command]:
        """Remove the commands that were not queued before, since no event can record them yet; return them."""
        known = {id(one) for one in before}
        fresh = [one for one in self.queue.waiting if id(one) not in known]
        self.queue.waiting = deque(one for one in self.queue.waiting if id(one) in known)
        return [self._to_command(one) for one in fresh if one.needs_event]

    def find_leftovers(self) -> list[Command]:
        """Return the commands that no event records, though the whole history was matched."""
        assert self.mismatch is None, "behind a mismatch, no event takes a command"
        matched = {id(pair.waiting) for pair in self.queue.matched}
        assert matched.isdisjoint(map(id, self.queue.waiting)), "a matched command is still queued"
        return [self._to_command(one) for one in self.queue.waiting if one.needs_event]

    def _to_command(self, one: QueuedCommand) -> Command:
        assert one.command is not None, f"{one.kind} on a tape comes from a command of the code"
        value = self._commands[id(one.command)]
        if isinstance(one.machine, CancelExternalMachine) and one.machine.is_core_made:
            child = str(self._commands[id(one.machine.command)].fields.get("workflowId", ""))
            fields = drop_none_values({"workflowExecution": child, "reason": one.machine.reason or None})
            return Command("cancel_workflow", child, fields, value.call_site)
        if one.is_patch_upsert:
            return Command("search_attributes", "", {"patch": value.name}, value.call_site)
        return value

    def _observe_flags(self, event_id: int) -> None:
        """Set the flags of all tasks completed up to here.

        As in sdk-core, a task is replayed under the flags that it records itself when it completes, one event later.
        """
        self.flags.core = {flag for flag, first in self._record.core_flags.items() if first <= event_id + 1}

    # Events of the history.

    @property
    def is_at_end(self) -> bool:
        """Whether every event was applied."""
        return self._place == len(self.history.heads)

    def match_events(self, until: int) -> None:
        """Apply the events up to this id, or to the first that the code did not match."""
        heads = self.history.heads
        while self.mismatch is None and not self.is_at_end and heads[self._place].event_id <= until:
            place, self._place = self._place, self._place + 1
            event_type = heads[place].event_type
            event: EventPart | None = self.history.read_event(place).attributes if event_type in RECORDS else None
            if event is None:  # without attributes: a command that it stands for stays queued, and is reported
                continue
            if event_type in COMMAND_EVENTS:
                self._match_command_event(place, event_type, event)
            elif (machine := self.queue.by_event.get(getattr(event, "of", 0))) is not None:
                self._apply_later_event(machine, place, event_type, event)

    def _match_command_event(self, place: int, event_type: str, event: EventPart) -> None:
        event_id = self.history.heads[place].event_id
        self._observe_flags(event_id)
        self.in_last_batch = event_id > self._record.last_completed_task_id > 0
        self.flags.left_out = False
        self.queue.refused = None
        before = len(self.queue.matched)
        if isinstance(event, MarkerRecorded) and event.marker_name == LOCAL_ACTIVITY:
            self._resolve_local_activity(event)
        fault, skips_next = self.queue.match_event(place, event_type, event, None if self.is_at_end else self._place)
        self._place += skips_next
        if fault is not None:
            self._note_fault(place, fault, self.queue.refused or self._find_local_activity(event))
        elif len(self.queue.matched) > before:
            self._add_pair(place, self.queue.matched[-1].waiting)
        elif (local := self._find_local_activity(event)) is not None:
            self._add_pair(place, local)
        else:
            assert _is_deprecated_patch(event), f"event {event_id} was matched with no command, and no fault says so"

    def _resolve_local_activity(self, marker: MarkerRecorded) -> None:
        """Resolve it at its marker. sdk-core did so one task earlier, when its look-ahead read the marker."""
        known = read_local_activity_marker(marker)
        if known is not None:
            self.queue.add_resolution(known)
            self.queue.release_held_resolutions(has_jobs=False)

    def _find_local_activity(self, event: EventPart) -> QueuedCommand | None:
        """Return the local activity of a marker. It is never queued: the marker's number finds it."""
        if not isinstance(event, MarkerRecorded) or event.marker_name != LOCAL_ACTIVITY:
            return None
        known = read_local_activity_marker(event)
        machine = self.queue.local_activities.get(known.data.seq) if known is not None else None
        return QueuedCommand(machine, "schedule_local_activity", machine.command) if machine is not None else None

    def _add_pair(self, place: int, one: QueuedCommand) -> None:
        if not one.is_patch_upsert:  # the code did not issue it, so there is nothing to compare
            self.pairs.add_pair(self._record.expected_command(self._record.run.events[place]), self._to_command(one))

    def _note_fault(self, place: int, fault: Fault, refused: QueuedCommand | None) -> None:
        expected = self._record.expected_command(self._record.run.events[place])
        if refused is None:
            refused = next((one for one in self.queue.waiting if not isinstance(one.machine, PatchMachine)), None)
        actual = self._to_command(refused) if refused is not None else None
        if actual is None or actual.kind != expected.kind or expected.kind == "patch":
            self.mismatch = Mismatch(expected, actual)
            return
        differing = differing_fields(expected.fields, actual.fields, BY_KIND[expected.kind].identity)
        if differing or fault.kind == "nondeterminism":
            self.mismatch = Mismatch(expected, actual, differing, self.flags.left_out)
        else:  # a fatal fault: the history contradicts itself, as with a marker twice, and the code did ask for this
            self.pairs.add_pair(expected, actual)

    def _apply_later_event(self, machine: StateMachine, place: int, event_type: str, event: EventPart) -> None:
        """Apply an event that follows a command.

        Only a timer can differ from its command here: sdk-core compares its id when it fires, and not when it starts.
        Any other fault is in the history and not in the code, so it is left to the replayer's outcome.
        """
        fault = machine.apply_event(self, event_type, event, self.history.heads[place].event_id)
        if fault is None or not isinstance(machine, TimerMachine) or not isinstance(event, TimerFired):
            return
        if event.timer_id != str(machine.seq):
            expected = self._record.expected_command(self._record.run.events[place])
            self.mismatch = Mismatch(expected, self._commands[id(machine.command)], ("timerId",))


def _is_deprecated_patch(event: EventPart) -> bool:
    """Whether the event is the only one that needs no command."""
    patch = read_patch_marker(event) if isinstance(event, MarkerRecorded) else None
    return patch is not None and patch[1]


def _read_history(run: Run) -> HistoryBatches:
    """Decode the history. If an event is not as servers write it, decode what the SDK reads from it."""
    history = HistoryBatches(run.events)
    try:
        for place, event_type in enumerate(history.types):
            if event_type in RECORDS:
                history.read_event(place)
    except msgspec.ValidationError as unreadable:
        text = encode_history(run).decode("utf-8", "surrogatepass")
        try:
            read = WorkflowHistory.from_json(run.workflow_id or "", text)
        except (ValueError, ParseError):
            raise unreadable from None  # the direct replayer hands such a run over; the SDK's replayer never gets here
        history = HistoryBatches(run_from_json(run, read.to_json().encode()).events)
        assert len(history.heads) == len(run.events), "the SDK reads every event"
    return history
