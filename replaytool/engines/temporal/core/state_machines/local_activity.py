"""The state machine of a local activity, and the results that the look-ahead found in markers for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto import activity_result as outcomes
from temporalio.bridge.proto.activity_result import ActivityResolution, DoBackoff
from temporalio.bridge.proto.workflow_activation import ResolveActivity, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType, ScheduleLocalActivity, WorkflowCommand

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.sdk_flags import CHECK_IDS_AND_TYPES
from replaytool.engines.temporal.core.state_machines.base import (
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    Table,
    transitions,
)
from replaytool.engines.temporal.events.event_structs import MarkerRecorded

LOCAL_ACTIVITY = "core_local_activity"
_WAITING, _RESOLVED = "WaitingResolveFromMarkerLookAhead", "ResolvedFromMarkerLookAheadWaitingMarkerEvent"
_REQUESTED, _MARKER_CREATED, _NOTIFIED = "RequestSent", "MarkerCommandCreated", "ResultNotified"
_RECORDED = "MarkerCommandRecorded"
_ONE_SECOND = 1_000_000_000


class MarkerTime(msgspec.Struct, frozen=True):
    """A time or a duration, as markers write it."""

    seconds: int = 0
    nanos: int = 0


class LocalActivityMarkerData(msgspec.Struct, frozen=True):
    """The `data` detail of a local activity's marker."""

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
    """The end of a local activity, or of one attempt."""

    data: LocalActivityMarkerData
    marker: MarkerRecorded | None
    """None for a cancellation behind the end of the history."""


_decode_data = msgspec.json.Decoder(LocalActivityMarkerData).decode


def read_local_activity_marker(marker: MarkerRecorded) -> LocalActivityResolution | None:
    """Return the resolution that a marker records, or None where it cannot be read."""
    try:
        return LocalActivityResolution(_decode_data(marker.details["data"].payloads[0].data), marker)
    except (KeyError, IndexError, ValueError):
        return None


class LocalActivityMachine(StateMachine):
    """An activity that runs inside a workflow task. Only its marker is recorded, and it needs no queued command."""

    __slots__ = ("_began_in_replay", "is_queued")
    attrs: ScheduleLocalActivity
    REFUSES = "Local activity machine cannot handle this event: "
    FIRST = _WAITING

    def __init__(self, command: WorkflowCommand, attrs: ScheduleLocalActivity, *, replaying: bool) -> None:
        super().__init__(command, attrs, attrs.seq)
        self._began_in_replay = replaying
        self.is_queued = not replaying
        if not replaying:
            self.state = _REQUESTED

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for its marker."""
        return self.state == _WAITING

    @property
    def is_requested(self) -> bool:
        """Whether a worker would have to execute it."""
        return self.state == _REQUESTED

    @property
    def is_notified(self) -> bool:
        """Whether its marker is a queued command: it was resolved behind the end of the history."""
        return self.state == _NOTIFIED

    @property
    def expects_marker(self) -> bool:
        """Whether it was resolved from its marker and waits for the marker's event."""
        return self.state == _RESOLVED

    def stop_replaying(self) -> None:
        """Request its execution: the history ended without its marker."""
        if self.state == _WAITING:
            self.state, self._began_in_replay, self.is_queued = _REQUESTED, False, True

    def resolve_from_marker(self, host: MachineHost, known: LocalActivityResolution) -> Fault | None:
        """Resolve it with the marker that the look-ahead found."""
        if self.state != _WAITING:
            text = f"Invalid transition resolving local activity (seq {self.seq}, from marker: true) in {self.state}"
            return Fault("fatal", text)
        self.state = _RESOLVED
        self._resolve(host, known)
        return None

    def resolve_with_result(self, host: MachineHost, known: LocalActivityResolution) -> None:
        """Resolve it behind the end of the history with the result of another run of it."""
        self.state = _MARKER_CREATED
        data = msgspec.structs.replace(known.data, seq=self.seq, complete_time=None)
        self._resolve(host, LocalActivityResolution(data, known.marker))

    def _resolve(self, host: MachineHost, known: LocalActivityResolution) -> None:
        job = ResolveActivity(seq=self.seq, result=self._build_result(known), is_local=True)
        host.queue_job(WorkflowActivationJob(resolve_activity=job))
        done = known.data.complete_time
        if done is not None:  # cancelled ones have none: they do not move the clock
            host.advance_clock(done.seconds * _ONE_SECOND + done.nanos)
        if not self._began_in_replay:
            host.issue_command(self, "record_marker")

    def cancel_before_start(self, host: MachineHost) -> None:
        """Cancel it before a worker would have started it: it resolves at once."""
        self.is_queued = False
        if self.state == _REQUESTED:
            self._resolve_cancelled(host)

    def _resolve_cancelled(self, host: MachineHost) -> None:
        self.state = _MARKER_CREATED
        attrs = self.attrs
        data = LocalActivityMarkerData(self.seq, attrs.attempt, attrs.activity_id, attrs.activity_type)
        self._resolve(host, LocalActivityResolution(data, None))

    def cancel(self, host: MachineHost, reason: str = "") -> Fault | None:
        """Cancel it: one that waits for its marker resolves with the marker, one without a marker resolves here."""
        kind = self.attrs.cancellation_type
        waits = kind == ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        if self.state == _REQUESTED and not waits:
            return self._cancel_unrecorded(host, kind)
        if self.state not in (_REQUESTED, _WAITING, _RESOLVED, _RECORDED):
            return Fault("nondeterminism", "Invalid transition in state machine")
        if self.state == _RECORDED and kind == ActivityCancellationType.ABANDON:
            return None
        return host.cancel_local_activity(self.seq)

    def _cancel_unrecorded(self, host: MachineHost, kind: ActivityCancellationType.ValueType) -> Fault | None:
        self.state = _MARKER_CREATED
        fault = host.cancel_local_activity(self.seq) if kind == ActivityCancellationType.TRY_CANCEL else None
        if fault is None:
            self._resolve_cancelled(host)
        return fault

    def _build_result(self, known: LocalActivityResolution) -> ActivityResolution:
        # sdk-core's order: a backoff, then a failure, then a result; with none of them it completed without a value.
        if known.data.backoff is not None:
            return ActivityResolution(backoff=_build_backoff(known.data))
        if known.marker is None:
            failure = failures.build_canceled_failure()
            failure.message = "Activity cancelled"
            return self._build_cancelled(failure)
        recorded = failures.read_failure(known.marker.failure)
        if recorded is None:
            values = known.marker.details.get("result")
            last = values.payloads[-1].to_proto() if values and values.payloads else Payload()
            return ActivityResolution(completed=outcomes.Success(result=last))
        if recorded.HasField("canceled_failure_info") or recorded.cause.HasField("canceled_failure_info"):
            return self._build_cancelled(recorded)
        return ActivityResolution(failed=outcomes.Failure(failure=recorded))

    def _build_cancelled(self, failure: Failure) -> ActivityResolution:
        if failure.HasField("canceled_failure_info"):
            text = "Local Activity cancelled"
            failure = failures.build_activity_failure(text, self.attrs, None, failure, failures.CANCEL_REQUESTED)
        return ActivityResolution(cancelled=outcomes.Cancellation(failure=failure))

    def on_marker_recorded(self, host: MachineHost, event: MarkerRecorded, event_id: int) -> Fault | None:
        """Compare the number, then the id and the type."""
        known = read_local_activity_marker(event)
        if known is None:
            return Fault("nondeterminism", "Local activity machine encountered an unparsable marker")
        if known.data.seq != self.seq:
            text = f"Local activity marker data has sequence number {known.data.seq} but matched against LA command"
            return Fault("nondeterminism", f"{text} with sequence number {self.seq}")
        if not host.flags.requires_check(CHECK_IDS_AND_TYPES, in_last=not self._began_in_replay):
            return None
        for what, recorded, produced in (
            ("id", known.data.activity_id, self.attrs.activity_id),
            ("type", known.data.activity_type, self.attrs.activity_type),
        ):
            if recorded != produced:
                text = f"Activity {what} of recorded marker '{recorded}' does not match activity {what} of local"
                return Fault("nondeterminism", f"{text} activity command '{produced}'")
        return None

    TABLE: ClassVar[Table] = {
        _WAITING: {},
        _REQUESTED: {},
        **transitions(
            (_MARKER_CREATED, SENT, _NOTIFIED),
            (_NOTIFIED, "MarkerRecorded", _RECORDED, on_marker_recorded),
            (_RESOLVED, "MarkerRecorded", _RECORDED, on_marker_recorded),
            (_RECORDED, CANCEL, _RECORDED),
        ),
    }


def _build_backoff(data: LocalActivityMarkerData) -> DoBackoff:
    wait, first = data.backoff, data.original_schedule_time
    return DoBackoff(
        attempt=data.attempt + 1,
        backoff_duration=Duration(seconds=wait.seconds, nanos=wait.nanos) if wait else None,
        original_schedule_time=Timestamp(seconds=first.seconds, nanos=first.nanos) if first else None,
    )


class HeldResolutions:
    """Results found in the next batch, held until the activation in which the worker delivered them."""

    def __init__(self) -> None:
        self.waiting: deque[LocalActivityResolution] = deque()
        self.activation = 0
        """How many activations this workflow task has had. Markers since SDK 1.34 name the one they belong to."""

    def next_seq(self, *, include_held: bool) -> int | None:
        """Return the number of the local activity to resolve next. The order is strict: a held one blocks the rest."""
        if not self.waiting or (not include_held and self._is_held(self.waiting[0])):
            return None
        return self.waiting[0].data.seq

    def take_resolution(self, seq: int) -> LocalActivityResolution | None:
        """Remove and return the first result of this local activity."""
        for one in self.waiting:
            if one.data.seq == seq:
                self.waiting.remove(one)
                return one
        return None

    def holds_resolution(self, seq: int) -> bool:
        """Whether a result of it waits for a later activation."""
        return any(one.data.seq == seq and self._is_held(one) for one in self.waiting)

    def _is_held(self, one: LocalActivityResolution) -> bool:
        return one.data.activation_index is not None and one.data.activation_index > self.activation
