"""The matcher: commands of the workflow wait in a queue until the event that records them arrives.

The rule is sdk-core's: first in, first out. A command event takes the command at the front, and nothing is searched
for. Three things never enter the queue or leave it early: local activities, commands cancelled before they were sent,
and patch markers that no event records. Two commands are created here and not by the code: the external cancel of a
child workflow, and the search attribute upsert of a patch.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.history_batches import HistoryBatches
from replaytool.engines.temporal.core.queued_command import MatchedCommand, QueuedCommand
from replaytool.engines.temporal.core.sdk_flags import MOVE_TERMINAL_COMMANDS, UPSERT_ON_PATCH
from replaytool.engines.temporal.core.state_machines.activity import ActivityMachine
from replaytool.engines.temporal.core.state_machines.base import Fault, MachineHost, StateMachine
from replaytool.engines.temporal.core.state_machines.child_workflow import ChildWorkflowMachine
from replaytool.engines.temporal.core.state_machines.external_workflow import (
    CancelExternalMachine,
    SignalExternalMachine,
)
from replaytool.engines.temporal.core.state_machines.local_activity import (
    LOCAL_ACTIVITY,
    HeldResolutions,
    LocalActivityMachine,
    LocalActivityResolution,
    read_local_activity_marker,
)
from replaytool.engines.temporal.core.state_machines.nexus import NexusOperationMachine
from replaytool.engines.temporal.core.state_machines.patch import (
    ModifyWorkflowPropertiesMachine,
    PatchMachine,
    UpsertSearchAttributesMachine,
    read_patch_marker,
)
from replaytool.engines.temporal.core.state_machines.timer import TimerMachine
from replaytool.engines.temporal.core.state_machines.update import UpdateMachine
from replaytool.engines.temporal.core.state_machines.workflow_end import (
    CancelWorkflowMachine,
    CompleteWorkflowMachine,
    ContinueAsNewWorkflowMachine,
    FailWorkflowMachine,
)
from replaytool.engines.temporal.events.event_structs import EventPart, MarkerRecorded, SearchAttributesUpserted

_TERMINAL = frozenset(
    [
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    ]
)
_PATCHES_ATTRIBUTE = "TemporalChangeVersion"
_LONGEST_PATCH_LIST = 2048


class QueueHost(MachineHost, Protocol):
    """What the queue asks of the replay it belongs to."""

    history: HistoryBatches

    @property
    def has_jobs(self) -> bool:
        """Whether a job waits for the next activation."""
        ...


class CommandQueue:
    """Commands in the order of issue; they stay queued across workflow tasks."""

    def __init__(self, host: QueueHost) -> None:
        self._host = host
        self.waiting: deque[QueuedCommand] = deque()
        self.by_event: dict[int, StateMachine] = {}
        """Machines by the event that records their command: later events refer to it."""
        self.updates: dict[str, UpdateMachine] = {}
        self.patches: dict[str, bool] = {}
        """Patch ids that a marker announced (False) or a command asked for (True)."""
        self.resolutions = HeldResolutions()
        self.matched: list[MatchedCommand] = []
        self.refused: QueuedCommand | None = None
        """The command at the front when an event did not match."""
        self._fresh: list[QueuedCommand] = []
        self._by_seq: dict[tuple[str, int], StateMachine] = {}
        self.local_activities: dict[int, LocalActivityMachine] = {}
        self._requests: list[LocalActivityMachine] = []
        """Local activities that a worker might still have to execute."""
        self._command: WorkflowCommand | None = None
        self._some_dropped = False

    def issue_command(self, machine: StateMachine, kind: str) -> None:
        """Put a command behind the other commands of this activation."""
        assert not machine.is_dropped, f"a cancelled {type(machine).__name__} issues {kind}"
        self._fresh.append(QueuedCommand(machine, kind, self._command))

    def issue_external_cancel(self, child: StateMachine, reason: str) -> None:
        """Request the cancellation of a child. sdk-core creates this command, and its answer gives no job."""
        machine = CancelExternalMachine(child.command)
        machine.is_core_made, machine.reason = True, reason
        self.issue_command(machine, "request_cancel_external_workflow_execution")

    @property
    def has_leftovers(self) -> bool:
        """Whether the code issued commands that no event records, though each of them needs one."""
        return any(one.needs_event for one in self.waiting)

    # From the code into the queue.

    def take_commands(self, commands: Iterable[WorkflowCommand]) -> Fault | None:
        """Take the commands of one activation; return the first fault.

        A fault ends the replay. The other commands are queued all the same, so that a report can name them.
        """
        fault: Fault | None = None
        for command, kind in self._order_terminal_commands([(one, str(one.WhichOneof("variant"))) for one in commands]):
            self._command = command
            refused = _TAKE.get(kind, CommandQueue._ignore_command)(self, command, kind)
            if refused is not None:
                fault = fault or refused
        self._command = None
        if self.resolutions.waiting and fault is None:
            fault = self._apply_resolutions(include_held=False)
            fault = fault or self.release_held_resolutions(has_jobs=self._host.has_jobs)
        return self._send_new_commands(fault)

    def _order_terminal_commands(
        self, commands: list[tuple[WorkflowCommand, str]]
    ) -> list[tuple[WorkflowCommand, str]]:
        """Move the command that ends the workflow to the end.

        sdk-core dropped the commands behind it until it had a flag for this order, and still does for such histories.
        """
        if len(commands) == 1:
            return commands
        ends = [place for place, (_, kind) in enumerate(commands) if kind in _TERMINAL]
        if not ends:
            return commands
        if self._host.replaying and MOVE_TERMINAL_COMMANDS not in self._host.flags.core:
            return commands[: ends[0] + 1]
        return [one for one in commands if one[1] not in _TERMINAL] + [commands[ends[0]]]

    def _send_new_commands(self, fault: Fault | None) -> Fault | None:
        """Queue what is left of this activation's commands; return the first fault."""
        if self._some_dropped:
            self.waiting = deque(one for one in self.waiting if not one.machine.is_dropped)
            self._some_dropped = False
        fresh, self._fresh = self._fresh, []
        for one in fresh:
            if not one.machine.is_dropped:
                refused = one.machine.mark_sent(one.kind)
                if refused is not None:
                    fault = fault or refused
                else:
                    assert not one.machine.is_final, f"no event can record {one.kind}: {one.machine.state} is final"
                self.waiting.append(one)
        return fault

    def _take_numbered_command(self, command: WorkflowCommand, kind: str) -> Fault | None:
        machine_type, name = _BY_SEQ[kind]
        attrs = getattr(command, kind)
        machine = self._by_seq[name, attrs.seq] = machine_type(command, attrs, attrs.seq)
        self.issue_command(machine, kind)
        return None

    def _take_unanswered_command(self, command: WorkflowCommand, kind: str) -> Fault | None:
        self.issue_command(_UNANSWERED[kind](command), kind)
        return None

    def _ignore_command(self, command: WorkflowCommand, kind: str) -> Fault | None:
        return None

    def _take_cancel_command(self, command: WorkflowCommand, kind: str) -> Fault | None:
        name, attribute = _CANCELS[kind]
        attrs = getattr(command, kind)
        seq = getattr(attrs, attribute)
        machine = self._by_seq.get((name, seq))
        if machine is None:
            return Fault("nondeterminism", f"Missing associated machine for {name}({seq})")
        fault = machine.cancel(self._host, getattr(attrs, "reason", ""))
        self._some_dropped |= machine.is_dropped
        return fault

    def _take_local_activity(self, command: WorkflowCommand, kind: str) -> Fault | None:
        attrs = command.schedule_local_activity
        machine = LocalActivityMachine(command, attrs, replaying=self._host.replaying)
        self._by_seq["LocalActivity", attrs.seq] = self.local_activities[attrs.seq] = machine
        self._requests.append(machine)
        return None

    def _take_update_response(self, command: WorkflowCommand, kind: str) -> Fault | None:
        response = command.update_response
        machine = self.updates.get(response.protocol_instance_id)
        if machine is None:
            text = f"Missing associated machine for protocol message {response.protocol_instance_id}"
            return Fault("fatal", text)
        word = response.WhichOneof("response")
        if word is None:
            text = f"Update response for update {machine.attrs.id} had an empty result, this is a lang layer bug."
            return Fault("fatal", text)
        return machine.respond(self._host, word)

    def _take_patch_marker(self, command: WorkflowCommand, kind: str) -> Fault | None:
        patch_id = command.set_patch_marker.patch_id
        seen = self.patches.get(patch_id)
        if seen:
            return None
        self.issue_command(PatchMachine(command, patch_id), kind)
        if self._is_patch_upserted(patch_id, seen is not None):
            upsert = UpsertSearchAttributesMachine(command)
            upsert.is_core_made = True
            self.issue_command(upsert, "upsert_workflow_search_attributes")
        self.patches[patch_id] = True
        return None

    def _is_patch_upserted(self, patch_id: str, is_announced: bool) -> bool:
        """Whether sdk-core sends a search attribute upsert with this patch: not if its list of ids grew too long."""
        if self._host.replaying and not (is_announced and UPSERT_ON_PATCH in self._host.flags.core):
            return False
        ids = sorted({*(one for one, is_asked in self.patches.items() if is_asked), patch_id})
        return len(json.dumps(ids, separators=(",", ":"), ensure_ascii=False).encode()) < _LONGEST_PATCH_LIST

    # Local activities.

    def add_resolution(self, found: LocalActivityResolution) -> Fault | None:
        """Add a local activity result that the look-ahead found."""
        machine = self.local_activities.get(found.data.seq)
        if machine is not None and not machine.is_waiting:
            return None
        self.resolutions.waiting.append(found)
        return self._apply_resolutions(include_held=False)

    def release_held_resolutions(self, *, has_jobs: bool) -> Fault | None:
        """Release held results when no job is pending: no later activation would deliver them."""
        return None if has_jobs or not self.resolutions.waiting else self._apply_resolutions(include_held=True)

    def _apply_resolutions(self, *, include_held: bool) -> Fault | None:
        while (seq := self.resolutions.next_seq(include_held=include_held)) is not None:
            machine = self.local_activities.get(seq)
            if machine is None:  # the code has not asked for it yet
                return None
            known = self.resolutions.take_resolution(seq)
            assert known is not None, f"the result of local activity {seq} is gone"
            fault = machine.resolve_from_marker(self._host, known)
            if fault is not None:
                return fault
        return None

    def cancel_local_activity(self, seq: int) -> Fault | None:
        """Resolve a cancelled local activity, unless its result belongs to a later activation."""
        machine = self.local_activities[seq]
        if self.resolutions.holds_resolution(seq):
            return None
        known = self.resolutions.take_resolution(seq)
        if known is not None:
            return machine.resolve_from_marker(self._host, known)
        if machine.is_queued:
            machine.cancel_before_start(self._host)
        return None

    def stop_waiting_for_markers(self) -> None:
        """Stop waiting for markers: the history has ended, so none will come."""
        for machine in self._requests:
            machine.stop_replaying()

    def run_local_activities(self) -> None:
        """Mark local activities as running behind the end of the history. A replay never executes them."""
        if not self._host.replaying:
            for machine in self._requests:
                machine.is_queued = False

    def take_requested_local_activities(self) -> list[LocalActivityMachine]:
        """Return and forget the local activities that a worker would run now."""
        asked = [one for one in self._requests if one.is_requested]
        self._requests = [one for one in self._requests if not one.is_requested]
        return asked

    # From the queue to the events.

    def match_event(
        self, place: int, event_type: str, event: EventPart, after: int | None
    ) -> tuple[Fault | None, bool]:
        """Match a command event with the front of the queue; the second value tells whether to skip the next event."""
        event_id = self._host.history.heads[place].event_id
        assert not self.matched or self.matched[-1].place < place, "events are matched in their order, and once"
        patch = None
        if isinstance(event, MarkerRecorded):
            if event.marker_name == LOCAL_ACTIVITY:
                fault, is_done = self._match_local_activity_marker(event, event_id)
                if fault is not None or is_done:
                    return fault, False
            patch = read_patch_marker(event)
        outcome = self._skip_patches(patch, after)
        if outcome is not None:
            return outcome
        if not self.waiting:
            self.refused = None
            text = f"No command scheduled for event HistoryEvent(id: {event_id}, {event_type})"
            return Fault("nondeterminism", text), False
        front = self.waiting.popleft()
        assert not front.machine.is_dropped, f"{front.kind} was cancelled before it was sent, and is still queued"
        fault = front.machine.apply_event(self._host, event_type, event, event_id)
        if fault is not None:
            self.refused = front
            return fault, False
        self.matched.append(MatchedCommand(place, front))
        if not front.machine.is_final:
            self.by_event[event_id] = front.machine
        return None, False

    def _match_local_activity_marker(self, marker: MarkerRecorded, event_id: int) -> tuple[Fault | None, bool]:
        """Match a local activity marker; the second value tells whether it needs no queued command.

        It needs none where the look-ahead resolved the activity from it: sdk-core sends no command in a replay then.
        """
        known = read_local_activity_marker(marker)
        if known is None:
            return Fault("fatal", "Local activity marker was unparsable"), False
        machine = self.local_activities.get(known.data.seq)
        if machine is None:
            self._skip_patches(None, None)  # a patch needs no marker, so it is not what the code asked for instead
            self.refused = self.waiting[0] if self.waiting else None
            return Fault("nondeterminism", f"Missing associated machine for LocalActivity({known.data.seq})"), False
        if machine.is_notified:
            return None, False
        if not machine.expects_marker:
            text = f"Attempted to check for LA marker handling in invalid state {machine.state}"
            return Fault("fatal", text), False
        fault = machine.apply_event(self._host, "MarkerRecorded", marker, event_id)
        if fault is not None:
            self.refused = QueuedCommand(machine, "schedule_local_activity", machine.command)
        return fault, True

    def _skip_patches(self, patch: tuple[str, bool] | None, after: int | None) -> tuple[Fault | None, bool] | None:
        """Skip patches on either side: a deprecated marker needs no command, and a patch command needs no marker."""
        while self.waiting and isinstance(front := self.waiting[0].machine, PatchMachine):
            if patch is None:
                self.waiting.popleft()
                continue
            if front.patch_id != patch[0] and patch[1]:
                return None, self._is_patch_upsert(after)
            return None
        if patch is None:
            return None
        if patch[1]:
            return None, self._is_patch_upsert(after)
        self.refused = self.waiting[0] if self.waiting else None
        text = f"Non-deprecated patch marker encountered for change {patch[0]}, but there is no corresponding change"
        return Fault("nondeterminism", f"{text} command!"), False

    def _is_patch_upsert(self, place: int | None) -> bool:
        """Whether this event is the upsert that sdk-core sent with a deprecated patch: both are skipped together."""
        upsert = self._host.history.read_event(place).attributes if place is not None else None
        if not isinstance(upsert, SearchAttributesUpserted):
            return False
        return _PATCHES_ATTRIBUTE in upsert.search_attributes.indexed_fields


_BY_SEQ: dict[str, tuple[type[StateMachine], str]] = {
    "start_timer": (TimerMachine, "Timer"),
    "schedule_activity": (ActivityMachine, "Activity"),
    "start_child_workflow_execution": (ChildWorkflowMachine, "ChildWorkflowStart"),
    "signal_external_workflow_execution": (SignalExternalMachine, "SignalExternal"),
    "request_cancel_external_workflow_execution": (CancelExternalMachine, "CancelExternal"),
    "schedule_nexus_operation": (NexusOperationMachine, "NexusOperation"),
}
_UNANSWERED: dict[str, type[StateMachine]] = {
    "complete_workflow_execution": CompleteWorkflowMachine,
    "fail_workflow_execution": FailWorkflowMachine,
    "cancel_workflow_execution": CancelWorkflowMachine,
    "continue_as_new_workflow_execution": ContinueAsNewWorkflowMachine,
    "upsert_workflow_search_attributes": UpsertSearchAttributesMachine,
    "modify_workflow_properties": ModifyWorkflowPropertiesMachine,
}
_CANCELS = {
    "cancel_timer": ("Timer", "seq"),
    "request_cancel_activity": ("Activity", "seq"),
    "request_cancel_local_activity": ("LocalActivity", "seq"),
    "cancel_child_workflow_execution": ("ChildWorkflowStart", "child_workflow_seq"),
    "cancel_signal_workflow": ("SignalExternal", "seq"),
    "request_cancel_nexus_operation": ("NexusOperation", "seq"),
}
_TAKE: dict[str, Callable[[CommandQueue, WorkflowCommand, str], Fault | None]] = {
    **dict.fromkeys(_BY_SEQ, CommandQueue._take_numbered_command),
    **dict.fromkeys(_UNANSWERED, CommandQueue._take_unanswered_command),
    **dict.fromkeys(_CANCELS, CommandQueue._take_cancel_command),
    "schedule_local_activity": CommandQueue._take_local_activity,
    "update_response": CommandQueue._take_update_response,
    "set_patch_marker": CommandQueue._take_patch_marker,
}
