"""Build the failures that workflow code receives. sdk-core wraps recorded failures; the texts are its own."""

from __future__ import annotations

import msgspec
from temporalio.api.common.v1 import ActivityType, Payloads
from temporalio.api.enums.v1 import RetryState
from temporalio.api.failure.v1 import ActivityFailureInfo, CanceledFailureInfo, Failure
from temporalio.bridge.proto.workflow_commands import ScheduleActivity, ScheduleLocalActivity

from replaytool.engines.temporal.events.event_structs import ActivityClosed, is_present, parse_message

CANCEL_REQUESTED = RetryState.RETRY_STATE_CANCEL_REQUESTED
NON_RETRYABLE = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
_RETRY_STATES = frozenset(RetryState.keys())


def read_failure(raw: msgspec.Raw) -> Failure | None:
    """Return the failure of an event, or None where it has none."""
    return parse_message(raw, Failure()) if is_present(raw) else None


def read_retry_state(name: str) -> RetryState.ValueType:
    """Return the recorded retry state; unknown names become unspecified."""
    return RetryState.Value(name) if name in _RETRY_STATES else RetryState.ValueType(0)


def build_canceled_failure(details: msgspec.Raw | None = None) -> Failure:
    """Build a cancellation without a message: the cause inside the other failures."""
    info = CanceledFailureInfo()
    if details is not None and is_present(details):
        info.details.CopyFrom(parse_message(details, Payloads()))
    return Failure(canceled_failure_info=info)


def build_activity_failure(
    message: str,
    command: ScheduleActivity | ScheduleLocalActivity,
    closed: ActivityClosed | None,
    cause: Failure | None,
    retry_state: RetryState.ValueType,
    identity: str = "",
) -> Failure:
    """Build the failure of an activity. Its type and id come from the command, as in sdk-core."""
    return Failure(
        message=message,
        cause=cause,
        activity_failure_info=ActivityFailureInfo(
            activity_type=ActivityType(name=command.activity_type),
            activity_id=command.activity_id,
            scheduled_event_id=closed.of if closed else 0,
            started_event_id=closed.started_event_id if closed else 0,
            identity=identity,
            retry_state=retry_state,
        ),
    )
