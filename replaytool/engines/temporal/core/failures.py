"""Build the failures that workflow code receives. sdk-core wraps recorded failures; the texts are its own."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import ActivityType, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import (
    ActivityFailureInfo,
    ApplicationFailureInfo,
    CanceledFailureInfo,
    ChildWorkflowExecutionFailureInfo,
    Failure,
    NexusOperationFailureInfo,
    TerminatedFailureInfo,
    TimeoutFailureInfo,
)

from replaytool.engines.temporal.events.event_structs import is_present, parse_message

CANCEL_REQUESTED = RetryState.RETRY_STATE_CANCEL_REQUESTED
_RETRY_STATES = frozenset(RetryState.keys())
NON_RETRYABLE = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


def read_failure(raw: Any) -> Failure | None:
    """Return the failure of an event, or None where it has none."""
    return parse_message(raw, Failure()) if is_present(raw) else None


def read_retry_state(name: str) -> RetryState.ValueType:
    """Return the recorded retry state; unknown names become unspecified."""
    return RetryState.Value(name) if name in _RETRY_STATES else RetryState.ValueType(0)


def build_canceled_failure(details: Any = None) -> Failure:
    """Build a cancellation without a message: the cause inside the other failures."""
    info = CanceledFailureInfo()
    if details is not None and is_present(details):
        info.details.CopyFrom(parse_message(details, Payloads()))
    return Failure(canceled_failure_info=info)


def build_activity_failure(message: str, command: Any, closed: Any, cause: Failure | None, **info: Any) -> Failure:
    """Build the failure of an activity. Its type and id come from the command, as in sdk-core."""
    return Failure(
        message=message,
        cause=cause,
        activity_failure_info=ActivityFailureInfo(
            activity_type=ActivityType(name=command.activity_type),
            activity_id=command.activity_id,
            scheduled_event_id=closed.of if closed else 0,
            started_event_id=closed.started_event_id if closed else 0,
            **info,
        ),
    )


def build_child_failure(message: str, machine: Any, cause: Failure | None, state: RetryState.ValueType) -> Failure:
    """Build the failure of a child workflow."""
    command = machine.attrs
    return Failure(
        message=message,
        cause=cause,
        child_workflow_execution_failure_info=ChildWorkflowExecutionFailureInfo(
            namespace=command.namespace,
            workflow_type=WorkflowType(name=command.workflow_type),
            workflow_execution=WorkflowExecution(workflow_id=command.workflow_id, run_id=machine.run_id),
            initiated_event_id=machine.initiated_event_id,
            started_event_id=machine.started_event_id,
            retry_state=state,
        ),
    )


def build_child_timeout() -> Failure:
    """Build the cause for a child workflow that timed out."""
    kind = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    return Failure(message="Timed out", timeout_failure_info=TimeoutFailureInfo(timeout_type=kind))


def build_child_terminated() -> Failure:
    """Build the cause for a child workflow that was terminated."""
    return Failure(message="Terminated", terminated_failure_info=TerminatedFailureInfo())


def build_external_failure(message: str, kind: str) -> Failure:
    """Build the failure of a signal or cancel that did not reach another workflow."""
    return Failure(message=message, application_failure_info=ApplicationFailureInfo(type=kind))


def build_nexus_failure(message: str, machine: Any, cause: Failure) -> Failure:
    """Build the failure of a Nexus operation that the workflow cancelled."""
    command = machine.attrs
    return Failure(
        message=message,
        cause=cause,
        nexus_operation_execution_failure_info=NexusOperationFailureInfo(
            scheduled_event_id=machine.scheduled_event_id,
            endpoint=command.endpoint,
            service=command.service,
            operation=command.operation,
            operation_token=machine.token,
        ),
    )
