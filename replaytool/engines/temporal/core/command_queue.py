"""The commands of one run in line, from the code that issued them to the events that record them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.sdk_flags import MOVE_TERMINAL_COMMANDS, UPSERT_ON_PATCH
from replaytool.engines.temporal.core.state_machines import timer as basic
from replaytool.engines.temporal.core.state_machines.activity import Activity
from replaytool.engines.temporal.core.state_machines.base import Fault, Machine
from replaytool.engines.temporal.core.state_machines.child_workflow import Child
from replaytool.engines.temporal.core.state_machines.local_activity import (
    LOCAL_ACTIVITY,
    LocalActivity,
    Peeked,
    Resolution,
    Update,
)
from replaytool.engines.temporal.core.state_machines.local_activity import resolution_of as local_resolution_of
from replaytool.engines.temporal.core.state_machines.nexus import Nexus

if TYPE_CHECKING:
    from replaytool.engines.temporal.core.activations import Replay

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


class Waiting(msgspec.Struct, frozen=True):
    """A command in line."""

    machine: Machine
    kind: str
    command: WorkflowCommand | None
    """The command of the code that led to it."""


class Matched(msgspec.Struct, frozen=True):
    """A command and the place of the event that recorded it."""

    place: int
    waiting: Waiting


class Line:
    """First in, first out; what is in it survives the task that issued it."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.waiting: deque[Waiting] = deque()
        self.by_event: dict[int, Machine] = {}
        self.updates: dict[str, Update] = {}
        self.patches: dict[str, bool] = {}
        """The patches seen in the record or asked for, and whether they were asked for."""
        self.peeked = Peeked()
        self.matched: list[Matched] = []
        self.refused: Waiting | None = None
        """The command that stood first when an event did not fit."""
        self._fresh: list[Waiting] = []
        self._by_seq: dict[tuple[str, int], Machine] = {}
        self._local: list[LocalActivity] = []
        self._command: WorkflowCommand | None = None
        self._some_dropped = False

    def issue(self, machine: Machine, kind: str) -> None:
        """Put a command behind those of this activation."""
        self._fresh.append(Waiting(machine, kind, self._command))

    def cancel_externally(self, child: Machine) -> None:
        """The core asks for a child's end by itself, and tells the workflow nothing of the answer."""
        machine = basic.CancelExternal(child.command, None)
        machine.is_core_made = True
        self.issue(machine, "request_cancel_external_workflow_execution")

    @property
    def has_leftovers(self) -> bool:
        """Whether commands wait that the code issued and the record does not hold; patches may be missing."""
        return any(not isinstance(one.machine, basic.Patch) and not one.machine.is_core_made for one in self.waiting)

    # From the code into the line.

    def take(self, commands: Iterable[WorkflowCommand]) -> Fault | None:
        """Take the commands of one activation."""
        for command, kind in self._in_order([(one, str(one.WhichOneof("variant"))) for one in commands]):
            self._command = command
            fault = _TAKE.get(kind, Line._take_nothing)(self, command, kind)
            if fault is not None:
                return fault
        self._command = None
        fault = None
        if self.peeked.waiting:
            fault = self._apply_peeked(include_held=False) or self.release_if_idle(bool(self._replay._jobs))
        return fault or self._send()

    def _in_order(self, commands: list[tuple[WorkflowCommand, str]]) -> list[tuple[WorkflowCommand, str]]:
        """The end of the workflow goes last; in older records it cut off what came behind it."""
        if len(commands) == 1:
            return commands
        ends = [place for place, (_, kind) in enumerate(commands) if kind in _TERMINAL]
        if not ends:
            return commands
        if self._replay.replaying and MOVE_TERMINAL_COMMANDS not in self._replay.flags.core:
            return commands[: ends[0] + 1]
        return [one for one in commands if one[1] not in _TERMINAL] + [commands[ends[0]]]

    def _send(self) -> Fault | None:
        if self._some_dropped:
            self.waiting = deque(one for one in self.waiting if not one.machine.is_dropped)
            self._some_dropped = False
        fresh, self._fresh = self._fresh, []
        for one in fresh:
            if not one.machine.is_dropped:
                fault = one.machine.on_sent(self._replay, one.kind)
                if fault is not None:
                    return fault
                self.waiting.append(one)
        return None

    def _take_seq(self, command: WorkflowCommand, kind: str) -> Fault | None:
        machine_type, name = _BY_SEQ[kind]
        attrs = getattr(command, kind)
        machine = machine_type(command, attrs)
        self._by_seq[name, machine.seq] = machine
        self.issue(machine, kind)
        return None

    def _take_unanswered(self, command: WorkflowCommand, kind: str) -> Fault | None:
        self.issue(_UNANSWERED[kind](command, None), kind)
        return None

    def _take_nothing(self, command: WorkflowCommand, kind: str) -> Fault | None:
        return None

    def _take_cancel(self, command: WorkflowCommand, kind: str) -> Fault | None:
        name, attribute = _CANCELS[kind]
        attrs = getattr(command, kind)
        seq = getattr(attrs, attribute)
        machine = self._by_seq.get((name, seq))
        if machine is None:
            return Fault("nondeterminism", f"Missing associated machine for {name}({seq})")
        fault = machine.cancel(self._replay, getattr(attrs, "reason", ""))
        self._some_dropped |= machine.is_dropped
        return fault

    def _take_local(self, command: WorkflowCommand, kind: str) -> Fault | None:
        attrs = command.schedule_local_activity
        machine = LocalActivity(command, attrs, self._replay.replaying)
        self._by_seq["LocalActivity", attrs.seq] = machine
        self._local.append(machine)
        return None

    def _take_update(self, command: WorkflowCommand, kind: str) -> Fault | None:
        response = command.update_response
        machine = self.updates.get(response.protocol_instance_id)
        if machine is None:
            text = f"Missing associated machine for protocol message {response.protocol_instance_id}"
            return Fault("fatal", text)
        word = response.WhichOneof("response")
        if word is None:
            text = f"Update response for update {machine.attrs.id} had an empty result, this is a lang layer bug."
            return Fault("fatal", text)
        return machine.respond(self._replay, word)

    def _take_patch(self, command: WorkflowCommand, kind: str) -> Fault | None:
        patch_id = command.set_patch_marker.patch_id
        seen = self.patches.get(patch_id)
        if seen:
            return None
        machine = basic.Patch(command, None)
        machine.patch_id = patch_id
        self.issue(machine, kind)
        if self._is_upserted(patch_id, seen is not None):
            upsert = basic.UpsertSearchAttributes(command, None)
            upsert.is_core_made = True
            self.issue(upsert, "upsert_workflow_search_attributes")
        self.patches[patch_id] = True
        return None

    def _is_upserted(self, patch_id: str, is_seen: bool) -> bool:
        """Whether the core lets people search for runs by this patch."""
        if self._replay.replaying and not (is_seen and UPSERT_ON_PATCH in self._replay.flags.core):
            return False
        ids = sorted({*(one for one, is_asked in self.patches.items() if is_asked), patch_id})
        return len(json.dumps(ids, separators=(",", ":"), ensure_ascii=False).encode()) < _LONGEST_PATCH_LIST

    # Local activities.

    def peek(self, found: Resolution) -> Fault | None:
        """Take in what the look-ahead found about a local activity."""
        machine = self._by_seq.get(("LocalActivity", found.data.seq))
        if machine is not None and machine.state != LocalActivity.FIRST:
            return None
        self.peeked.waiting.append(found)
        return self._apply_peeked(include_held=False)

    def release_if_idle(self, has_jobs: bool) -> Fault | None:
        """With nothing else to tell, no later activation would come to hold a resolution for."""
        return None if has_jobs or not self.peeked.waiting else self._apply_peeked(include_held=True)

    def _apply_peeked(self, *, include_held: bool) -> Fault | None:
        while (seq := self.peeked.next_seq(include_held)) is not None:
            machine = self._by_seq.get(("LocalActivity", seq))
            known = self.peeked.take(seq) if isinstance(machine, LocalActivity) else None
            if known is None or not isinstance(machine, LocalActivity):
                return None
            fault = machine.resolve(self._replay, known)
            if fault is not None:
                return fault
        return None

    def cancel_local(self, machine: LocalActivity) -> Fault | None:
        """What is known of its end is told, unless it belongs to a later activation."""
        if self.peeked.holds(machine.seq):
            return None
        known = self.peeked.take(machine.seq)
        if known is not None:
            return machine.resolve(self._replay, known)
        if machine.is_queued:
            machine.unqueue(self._replay)
        return None

    def stop_waiting(self) -> None:
        """Past the record, local activities wait for no marker."""
        for machine in self._local:
            machine.not_replaying_any_more()

    def run_queued(self) -> None:
        """Where a worker would run local activities, a replay does not; but they count as running."""
        if not self._replay.replaying:
            for machine in self._local:
                machine.is_queued = False

    def local_asked(self) -> list[LocalActivity]:
        """Local activities that a worker would be running now: nobody has taken them away yet."""
        asked = [one for one in self._local if one.is_asked]
        self._local = [one for one in self._local if not one.is_asked]
        return asked

    # From the line to the events.

    def match(self, place: int, kind: str, said: Any, after: int | None) -> tuple[Fault | None, bool]:
        """Give the event to the command that waits longest; whether the next event is to be skipped."""
        replay = self._replay
        event_id = replay.tape.heads[place].event_id
        patch = None
        if kind == "MarkerRecorded":
            if said.marker_name == LOCAL_ACTIVITY:
                fault, is_done = self._local_marker(said, event_id)
                if fault is not None or is_done:
                    return fault, False
            patch = basic.patch_of(said)
        while True:
            outcome = self._past_patches(patch, after)
            if outcome is not None:
                return outcome
            if not self.waiting:
                self.refused = None
                return Fault(
                    "nondeterminism", f"No command scheduled for event HistoryEvent(id: {event_id}, {kind})"
                ), False
            front = self.waiting.popleft()
            if not front.machine.is_dropped:
                break
        fault = front.machine.on_event(replay, kind, said, event_id)
        if fault is not None:
            self.refused = front
            return fault, False
        self.matched.append(Matched(place, front))
        if not front.machine.is_final:
            self.by_event[event_id] = front.machine
        return None, False

    def _local_marker(self, said: Any, event_id: int) -> tuple[Fault | None, bool]:
        """A marker that the look-ahead used takes no command; any other does."""
        known = local_resolution_of(said)
        if known is None:
            return Fault("fatal", "Local activity marker was unparsable"), False
        machine = self._by_seq.get(("LocalActivity", known.data.seq))
        if machine is None:
            self.refused = self.waiting[0] if self.waiting else None
            return Fault("nondeterminism", f"Missing associated machine for LocalActivity({known.data.seq})"), False
        if machine.state == "ResultNotified":
            return None, False
        if machine.state != "ResolvedFromMarkerLookAheadWaitingMarkerEvent":
            text = f"Attempted to check for LA marker handling in invalid state {machine.state}"
            return Fault("fatal", text), False
        fault = machine.on_event(self._replay, "MarkerRecorded", said, event_id)
        if fault is not None:
            self.refused = Waiting(machine, "schedule_local_activity", machine.command)
        return fault, True

    def _past_patches(self, patch: tuple[str, bool] | None, after: int | None) -> tuple[Fault | None, bool] | None:
        """Patches give way: a deprecated marker needs no call, and a call needs no marker."""
        while self.waiting and isinstance(self.waiting[0].machine, basic.Patch):
            front = self.waiting[0].machine
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
        tape = self._replay.tape
        if place is None or tape.types[place] != "UpsertWorkflowSearchAttributes":
            return False
        said = tape.record(place).attributes
        return said is not None and _PATCHES_ATTRIBUTE in said.search_attributes.indexed_fields


_BY_SEQ: dict[str, tuple[type[Machine], str]] = {
    "start_timer": (basic.Timer, "Timer"),
    "schedule_activity": (Activity, "Activity"),
    "start_child_workflow_execution": (Child, "ChildWorkflowStart"),
    "signal_external_workflow_execution": (basic.SignalExternal, "SignalExternal"),
    "request_cancel_external_workflow_execution": (basic.CancelExternal, "CancelExternal"),
    "schedule_nexus_operation": (Nexus, "NexusOperation"),
}
_UNANSWERED: dict[str, type[Machine]] = {
    "complete_workflow_execution": basic.CompleteWorkflow,
    "fail_workflow_execution": basic.FailWorkflow,
    "cancel_workflow_execution": basic.CancelWorkflow,
    "continue_as_new_workflow_execution": basic.ContinueAsNew,
    "upsert_workflow_search_attributes": basic.UpsertSearchAttributes,
    "modify_workflow_properties": basic.ModifyProperties,
}
_CANCELS = {
    "cancel_timer": ("Timer", "seq"),
    "request_cancel_activity": ("Activity", "seq"),
    "request_cancel_local_activity": ("LocalActivity", "seq"),
    "cancel_child_workflow_execution": ("ChildWorkflowStart", "child_workflow_seq"),
    "cancel_signal_workflow": ("SignalExternal", "seq"),
    "request_cancel_nexus_operation": ("NexusOperation", "seq"),
}
_TAKE: dict[str, Callable[[Line, WorkflowCommand, str], Fault | None]] = {
    **dict.fromkeys(_BY_SEQ, Line._take_seq),
    **dict.fromkeys(_UNANSWERED, Line._take_unanswered),
    **dict.fromkeys(_CANCELS, Line._take_cancel),
    "schedule_local_activity": Line._take_local,
    "update_response": Line._take_update,
    "set_patch_marker": Line._take_patch,
}
