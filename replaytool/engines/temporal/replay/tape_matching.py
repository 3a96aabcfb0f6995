"""Match a tape with its history: the command queue takes the commands of the tape and the events of the history.

The tape tells what the code was given and what it asked for, so no code runs here. All rules of matching are those of
`core.command_queue`. This module only feeds it, and says what did not match as values that a report can show.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.client import WorkflowHistory

from replaytool.engines.temporal.core.command_queue import CommandQueue, QueuedCommand
from replaytool.engines.temporal.core.history_batches import HistoryBatches
from replaytool.engines.temporal.core.sdk_flags import ObservedFlags
from replaytool.engines.temporal.core.state_machines.base import Fault, StateMachine
from replaytool.engines.temporal.core.state_machines.external_workflow import CancelExternalMachine
from replaytool.engines.temporal.core.state_machines.local_activity import (
    LOCAL_ACTIVITY,
    LocalActivityMachine,
    read_local_activity_marker,
)
from replaytool.engines.temporal.core.state_machines.patch import PatchMachine
from replaytool.engines.temporal.core.state_machines.update import UpdateMachine
from replaytool.engines.temporal.events.decoding import RECORDS
from replaytool.engines.temporal.events.event_structs import EventPart, MarkerRecorded, TimerFired
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS
from replaytool.engines.temporal.replay.command_kinds import BY_KIND
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory, run_from_json
from replaytool.engines.temporal.sdk.recorder import RecordedActivation
from replaytool.model.history import Run, encode_history
from replaytool.model.verdict import ActivationJob, Command
from replaytool.replay.compare.mismatch import MatchedPairs, Mismatch, differing_fields


class _StrictFlags(ObservedFlags):
    """Flags under which every name is compared, even where the history does not ask for it."""

    def requires_check(self, flag: int, *, in_last: bool = False) -> bool:
        """Compare always; `left_out` tells whether the SDK would compare here."""
        super().requires_check(flag, in_last=in_last)
        return True


class TapeMatcher:
    """The state machines of one tape. It takes the place of the replay loop, whose part the tape has played already."""

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

    # The part of the replay loop (`QueueHost`): jobs and the clock are on the tape, so nothing needs them here.

    def queue_job(self, job: WorkflowActivationJob) -> None:
        """Drop the job."""

    def issue_command(self, machine: StateMachine, kind: str) -> None:
        """Put one more command of this machine into the command queue."""
        self.queue.issue_command(machine, kind)

    def issue_external_cancel(self, child: StateMachine) -> None:
        """Put the request to cancel this child workflow into the command queue."""
        self.queue.issue_external_cancel(child)

    def cancel_local_activity(self, seq: int) -> Fault | None:
        """Do nothing: the marker resolves it when its event is reached."""
        return None

    def advance_clock(self, time: int) -> None:
        """Ignore the time."""

    def current_event_time(self) -> int | None:
        """Return None: no machine of a command asks."""
        return None

    def start_workflow_task(self, started_id: int, time: int) -> None:
        """Do nothing: the tape has the tasks."""

    # Activations of the tape.

    def add_jobs(self, jobs: Iterable[WorkflowActivationJob]) -> tuple[ActivationJob, ...]:
        """Take the jobs of an activation; return them as values."""
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
            value = self._commands[id(command)] = self._translator.translate_command(command, site)
            made.append(value)
        self._observe_flags(activation.event_id)
        self.replaying = activation.replaying
        self.queue.take_commands(activation.commands)  # a fault is the replayer's to tell: its outcome has it
        return made

    def take_new_commands(self, before: Iterable[QueuedCommand]) -> list[Command]:
        """Remove and return the commands that no event can record yet: those that were not queued before."""
        known = {id(one) for one in before}
        fresh = [one for one in self.queue.waiting if id(one) not in known]
        for one in fresh:
            self.queue.waiting.remove(one)
        return [self._to_command(one) for one in fresh if _is_missed(one)]

    def leftovers(self) -> list[Command]:
        """Return the commands that no event records, now that the history has ended."""
        return [self._to_command(one) for one in self.queue.waiting if _is_missed(one)]

    def commands_after_mismatch(self) -> list[Command]:
        """Return the commands that follow the one that did not match."""
        if self.mismatch is None:
            return []
        waiting = [self._to_command(one) for one in self.queue.waiting if not _is_core_made(one)]
        if self.mismatch.actual in waiting:
            return waiting[waiting.index(self.mismatch.actual) + 1 :]
        return waiting

    def _to_command(self, one: QueuedCommand) -> Command:
        assert one.command is not None, f"{one.kind} on a tape comes from a command of the code"
        value = self._commands[id(one.command)]
        if isinstance(one.machine, CancelExternalMachine) and one.machine.is_core_made:
            child = str(self._commands[id(one.machine.command)].fields.get("workflowId", ""))
            return Command("cancel_workflow", child, {"workflowExecution": child}, value.call_site)
        if _is_core_made(one):
            return Command("search_attributes", "", {"patch": value.name}, value.call_site)
        return value

    def _observe_flags(self, event_id: int) -> None:
        """Make the flags of completed tasks active; the task that closes behind this event brings its own."""
        self.flags.core = {flag for flag, first in self._record.core_flags.items() if first <= event_id + 1}

    # Events of the history.

    def match_events(self, until: int) -> None:
        """Apply the events up to this id, or to the first that the code did not match."""
        heads = self.history.heads
        while self.mismatch is None and self._place < len(heads) and heads[self._place].event_id <= until:
            place, self._place = self._place, self._place + 1
            event_type = heads[place].event_type
            event: EventPart | None = self.history.read_event(place).attributes if event_type in RECORDS else None
            if event is None:
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
        after = place + 1 if self._place < len(self.history.heads) else None
        fault, skips_next = self.queue.match_event(place, event_type, event, after)
        self._place += skips_next
        if fault is not None:
            self._note_mismatch(place, self.queue.refused or self._find_local_activity(event))
        elif len(self.queue.matched) > before:
            self._add_pair(place, self.queue.matched[-1].waiting)
        elif (local := self._find_local_activity(event)) is not None:
            self._add_pair(place, local)

    def _resolve_local_activity(self, marker: MarkerRecorded) -> None:
        """Resolve it now. The replay did so when its look-ahead found the marker, and the tape has the job."""
        known = read_local_activity_marker(marker)
        if known is not None:
            self.queue.add_resolution(known)
            self.queue.release_held_resolutions(has_jobs=False)

    def _find_local_activity(self, event: EventPart) -> QueuedCommand | None:
        """Return the local activity that a marker is about. It is no queued command, so the marker names it."""
        if not isinstance(event, MarkerRecorded) or event.marker_name != LOCAL_ACTIVITY:
            return None
        known = read_local_activity_marker(event)
        machine = self.queue.local_activities.get(known.data.seq) if known is not None else None
        return QueuedCommand(machine, "schedule_local_activity", machine.command) if machine is not None else None

    def _add_pair(self, place: int, one: QueuedCommand) -> None:
        if not _is_core_made(one):
            self.pairs.add_pair(self._record.expected_command(self._record.run.events[place]), self._to_command(one))

    def _note_mismatch(self, place: int, refused: QueuedCommand | None) -> None:
        expected = self._record.expected_command(self._record.run.events[place])
        if refused is None:
            refused = next((one for one in self.queue.waiting if not isinstance(one.machine, PatchMachine)), None)
        actual = self._to_command(refused) if refused is not None else None
        if actual is None or actual.kind != expected.kind or expected.kind == "patch":
            self.mismatch = Mismatch(expected, actual)
            return
        differing = differing_fields(expected.fields, actual.fields, BY_KIND[expected.kind].identity)
        if differing:
            self.mismatch = Mismatch(expected, actual, differing, self.flags.left_out)
        else:  # the history contradicts itself, and the code did ask for this
            self.pairs.add_pair(expected, actual)

    def _apply_later_event(self, machine: StateMachine, place: int, event_type: str, event: EventPart) -> None:
        """Apply an event that follows a command. Only a timer's name can be wrong there: it has no other."""
        fault = machine.apply_event(self, event_type, event, self.history.heads[place].event_id)
        if fault is not None and isinstance(event, TimerFired) and event.timer_id != str(machine.seq):
            expected = self._record.expected_command(self._record.run.events[place])
            self.mismatch = Mismatch(expected, self._commands[id(machine.command)], ("timerId",))


def _is_core_made(one: QueuedCommand) -> bool:
    """Whether sdk-core added the command to another one. The cancel of a child stands for the code's own cancel."""
    return one.machine.is_core_made and not isinstance(one.machine, CancelExternalMachine)


def _is_missed(one: QueuedCommand) -> bool:
    """Whether the history lacks the command if no event records it: patches and local activities need none."""
    return not _is_core_made(one) and not isinstance(one.machine, PatchMachine | LocalActivityMachine)


def _read_history(run: Run) -> HistoryBatches:
    """Decode the history; where an event is not as servers write it, as the SDK reads it and would write it again."""
    history = HistoryBatches(run.events)
    try:
        for place, event_type in enumerate(history.types):
            if event_type in RECORDS:
                history.read_event(place)
    except msgspec.ValidationError:
        text = encode_history(run).decode("utf-8", "surrogatepass")
        written = WorkflowHistory.from_json(run.workflow_id or "", text).to_json()
        history = HistoryBatches(run_from_json(run, written.encode()).events)
    return history
