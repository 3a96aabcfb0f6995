"""The machines of local activities and updates: both are told of by the look-ahead, before their events are reached."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.activity_result import (
    ActivityResolution,
    Cancellation,
    DoBackoff,
    Failure,
    Success,
)
from temporalio.bridge.proto.workflow_activation import ResolveActivity, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.sdk_flags import CHECK_IDS_AND_TYPES
from replaytool.engines.temporal.core.state_machines.base import (
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transition_table,
)

LOCAL_ACTIVITY = "core_local_activity"
_WAITING, _RESOLVED = "WaitingResolveFromMarkerLookAhead", "ResolvedFromMarkerLookAheadWaitingMarkerEvent"
_REQUESTED, _MARKER_CREATED, _NOTIFIED = "RequestSent", "MarkerCommandCreated", "ResultNotified"
_ONE_SECOND = 1_000_000_000


class MarkerTime(msgspec.Struct, frozen=True):
    """A time or a length of time, as markers write it."""

    seconds: int = 0
    nanos: int = 0


class LocalActivityMarkerData(msgspec.Struct, frozen=True):
    """What a local activity's marker says beside the result."""

    seq: int
    attempt: int
    activity_id: str
    activity_type: str
    complete_time: MarkerTime | None = None
    backoff: MarkerTime | None = None
    original_schedule_time: MarkerTime | None = None
    activation_index: int | None = None


@dataclass(frozen=True, slots=True)
class LocalActivityResolution:
    """A local activity's end, or the end of one attempt, as its marker records it."""

    data: LocalActivityMarkerData
    marker: Any
    cancelled: bool = False
    """Not recorded: the workflow gave it up past the end of the record."""


_marker_data = msgspec.json.Decoder(LocalActivityMarkerData).decode


def read_local_activity_marker(marker: Any) -> LocalActivityResolution | None:
    """What the marker says; None where it cannot be read."""
    try:
        return LocalActivityResolution(_marker_data(marker.details["data"].payloads[0].data), marker)
    except (KeyError, IndexError, ValueError):
        return None


class LocalActivityMachine(StateMachine):
    """An activity that ran inside a task; only its marker tells that it did."""

    __slots__ = ("began_in_replay", "is_queued")
    NAME = "LocalActivityMachine"
    REFUSES = "Local activity machine cannot handle this event: "
    HANDLES = frozenset({"MarkerRecorded"})
    FIRST = _WAITING

    def __init__(self, command: Any, attrs: Any, replaying: bool) -> None:
        super().__init__(command, attrs)
        self.began_in_replay = replaying
        self.is_queued = not replaying
        if not replaying:
            self.state = _REQUESTED

    def stop_replaying(self) -> None:
        """The record has no marker for it: a worker would run it now."""
        if self.state == _WAITING:
            self.state, self.began_in_replay, self.is_queued = _REQUESTED, False, True

    def resolve_from_marker(self, core: MachineHost, known: LocalActivityResolution) -> Fault | None:
        """Hand the workflow what the marker records."""
        if self.state != _WAITING:
            text = f"Invalid transition resolving local activity (seq {self.seq}, from marker: true) in {self.state}"
            return Fault("fatal", text)
        self.state = _RESOLVED
        self.queue_resolution(core, known)
        return None

    @property
    def is_requested(self) -> bool:
        """Whether a worker would have to run it."""
        return self.state == _REQUESTED

    def resolve_with_result(self, core: MachineHost, known: LocalActivityResolution) -> None:
        """Past the record: somebody knows how it ended."""
        self.state = _MARKER_CREATED
        self.queue_resolution(
            core,
            LocalActivityResolution(
                msgspec.structs.replace(known.data, seq=self.seq, complete_time=None), known.marker
            ),
        )

    def queue_resolution(self, core: MachineHost, known: LocalActivityResolution) -> None:
        """The job for the workflow, and the command to record it where it is not recorded yet."""
        job = ResolveActivity(seq=self.seq, result=_build_result(self, known), is_local=True)
        core.queue_job(WorkflowActivationJob(resolve_activity=job))
        done = known.data.complete_time
        if done is not None:
            core.advance_clock(done.seconds * _ONE_SECOND + done.nanos)
        if not self.began_in_replay:
            core.issue_command(self, "record_marker")

    def cancel_before_start(self, core: MachineHost) -> None:
        """Cancelled before a worker would have begun with it: the workflow hears so at once."""
        self.is_queued = False
        if self.state == _REQUESTED:
            self._resolve_cancelled(core)

    def _resolve_cancelled(self, core: MachineHost) -> None:
        self.state = _MARKER_CREATED
        self.queue_resolution(core, LocalActivityResolution(_marker_data_of(self), None, cancelled=True))

    def cancel(self, core: MachineHost, reason: str = "") -> Fault | None:
        """What is waited for in the record is looked up; what is not in the record ends here."""
        kind = self.attrs.cancellation_type
        waits = kind == ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        if self.state == _REQUESTED and not waits:
            return self._give_up_unwaited(core, kind)
        if self.state not in (_REQUESTED, _WAITING, _RESOLVED, "MarkerCommandRecorded"):
            return Fault("nondeterminism", "Invalid transition in state machine")
        if self.state == "MarkerCommandRecorded" and kind == ActivityCancellationType.ABANDON:
            return None
        return core.cancel_local_activity(self)

    def _give_up_unwaited(self, core: MachineHost, kind: int) -> Fault | None:
        self.state = _MARKER_CREATED
        fault = core.cancel_local_activity(self) if kind == ActivityCancellationType.TRY_CANCEL else None
        if fault is None:
            self._resolve_cancelled(core)
        return fault


def _marker_data_of(machine: LocalActivityMachine) -> LocalActivityMarkerData:
    attrs = machine.attrs
    return LocalActivityMarkerData(machine.seq, attrs.attempt, attrs.activity_id, attrs.activity_type)


def _build_result(machine: LocalActivityMachine, known: LocalActivityResolution) -> ActivityResolution:
    data = known.data
    if data.backoff is not None:
        return ActivityResolution(backoff=_build_backoff(data))
    if known.cancelled:
        failure = failures.build_canceled_failure()
        failure.message = "Activity cancelled"
        return _build_cancelled(machine, failure)
    recorded = failures.read_failure(known.marker.failure)
    if recorded is None:
        values = known.marker.details.get("result")
        last = values.payloads[-1].to_proto() if values and values.payloads else Payload()
        return ActivityResolution(completed=Success(result=last))
    if recorded.HasField("canceled_failure_info") or recorded.cause.HasField("canceled_failure_info"):
        return _build_cancelled(machine, recorded)
    return ActivityResolution(failed=Failure(failure=recorded))


def _build_cancelled(machine: LocalActivityMachine, failure: Any) -> ActivityResolution:
    if failure.HasField("canceled_failure_info"):
        state = failures.CANCEL_REQUESTED
        failure = failures.build_activity_failure(
            "Local Activity cancelled", machine.attrs, None, failure, retry_state=state
        )
    return ActivityResolution(cancelled=Cancellation(failure=failure))


def _build_backoff(data: LocalActivityMarkerData) -> DoBackoff:
    wait, first = data.backoff, data.original_schedule_time
    return DoBackoff(
        attempt=data.attempt + 1,
        backoff_duration=Duration(seconds=wait.seconds, nanos=wait.nanos) if wait else None,
        original_schedule_time=Timestamp(seconds=first.seconds, nanos=first.nanos) if first else None,
    )


def _recorded(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
    known = read_local_activity_marker(record)
    if known is None:
        return Fault("nondeterminism", "Local activity machine encountered an unparsable marker")
    if known.data.seq != machine.seq:
        text = f"Local activity marker data has sequence number {known.data.seq} but matched against LA command"
        return Fault("nondeterminism", f"{text} with sequence number {machine.seq}")
    if not core.flags.requires_check(CHECK_IDS_AND_TYPES, in_last=not machine.began_in_replay):
        return None
    for what, recorded, produced in (
        ("id", known.data.activity_id, machine.attrs.activity_id),
        ("type", known.data.activity_type, machine.attrs.activity_type),
    ):
        if recorded != produced:
            text = f"Activity {what} of recorded marker '{recorded}' does not match activity {what} of local activity"
            return Fault("nondeterminism", f"{text} command '{produced}'")
    return None


LocalActivityMachine.TABLE = transition_table(
    (_WAITING, "-", _WAITING),
    (_REQUESTED, "-", _REQUESTED),
    (_MARKER_CREATED, SENT, _NOTIFIED),
    (_NOTIFIED, "MarkerRecorded", "MarkerCommandRecorded", _recorded),
    (_RESOLVED, "MarkerRecorded", "MarkerCommandRecorded", _recorded),
    ("MarkerCommandRecorded", CANCEL, "MarkerCommandRecorded"),
)


class HeldResolutions:
    """Resolutions found in the next sequence, which wait for the activation that they were first delivered in."""

    def __init__(self) -> None:
        self.waiting: deque[LocalActivityResolution] = deque()
        self.activation = 0
        """How many activations this task has had: markers since 1.34 say which one they belong to."""

    def next_seq(self, include_held: bool) -> int | None:
        """The local activity whose turn it is."""
        if not self.waiting or (not include_held and self._is_held(self.waiting[0])):
            return None
        return self.waiting[0].data.seq

    def take_resolution(self, seq: int) -> LocalActivityResolution | None:
        """The first resolution of this local activity."""
        for one in self.waiting:
            if one.data.seq == seq:
                self.waiting.remove(one)
                return one
        return None

    def holds_resolution(self, seq: int) -> bool:
        """Whether a resolution of it waits for a later activation."""
        return any(one.data.seq == seq and self._is_held(one) for one in self.waiting)

    def _is_held(self, one: LocalActivityResolution) -> bool:
        return one.data.activation_index is not None and one.data.activation_index > self.activation


class UpdateMachine(StateMachine):
    """An update: accepting and completing it are commands, in line with all others."""

    __slots__ = ()
    NAME = "UpdateMachine"
    REFUSES = "Update machine does not handle this event: "
    HANDLES = frozenset({"WorkflowExecutionUpdateAccepted", "WorkflowExecutionUpdateCompleted"})
    FIRST = "RequestInitiated"

    def respond(self, core: MachineHost, word: str) -> Fault | None:
        """What the handler said: accepted, rejected or completed."""
        row = self.TABLE[self.state].get(word)
        if row is None:
            text = f"Invalid transition while handling update response (id {self.attrs.id}) in state {self.state}"
            return Fault("nondeterminism", text)
        if self.state != "RequestInitiated" or word == "accepted":
            core.issue_command(self, f"update_{'accept' if word == 'accepted' else 'complete'}")
        self.state = row[0]
        return None


_DONE = "completed, rejected"
UpdateMachine.TABLE = transition_table(
    ("RequestInitiated", "accepted", "Accepted"),
    ("RequestInitiated", "rejected", "Rejected"),
    ("Accepted", _DONE, "CompletedImmediately"),
    ("Accepted", SENT, "AcceptCommandCreated"),
    ("AcceptCommandCreated", "WorkflowExecutionUpdateAccepted", "AcceptCommandRecorded"),
    ("AcceptCommandCreated", _DONE, "CompletedImmediatelyAcceptCreated"),
    ("AcceptCommandRecorded", _DONE, "Completed"),
    ("Completed", SENT, "CompletedCommandCreated"),
    ("CompletedCommandCreated", "WorkflowExecutionUpdateCompleted", "CompletedCommandRecorded"),
    ("CompletedImmediately", SENT, "CompletedImmediatelyAcceptCreated"),
    ("CompletedImmediatelyAcceptCreated", SENT, "CompletedImmediatelyCompleteCreated"),
    ("CompletedImmediatelyCompleteCreated", "WorkflowExecutionUpdateAccepted", "CompletedCommandCreated"),
)
