"""The failures that workflow code is handed: the core wraps what was recorded, with these words."""

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


def recorded(raw: Any) -> Failure | None:
    """A failure as an event holds it."""
    return parse_message(raw, Failure()) if is_present(raw) else None


def retry_state(name: str) -> RetryState.ValueType:
    """Why it was not tried again."""
    return RetryState.Value(name) if name in _RETRY_STATES else RetryState.ValueType(0)


def canceled(details: Any = None) -> Failure:
    """A bare cancellation, the cause of the others."""
    info = CanceledFailureInfo()
    if details is not None and is_present(details):
        info.details.CopyFrom(parse_message(details, Payloads()))
    return Failure(canceled_failure_info=info)


def activity(message: str, command: Any, closed: Any, cause: Failure | None, **info: Any) -> Failure:
    """An activity that failed, timed out or was cancelled; its name and id are those of the command."""
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


def child(message: str, machine: Any, cause: Failure | None, state: RetryState.ValueType) -> Failure:
    """A child that ended in any way but well."""
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


def child_timeout() -> Failure:
    """What a child that ran out of time was stopped by."""
    kind = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    return Failure(message="Timed out", timeout_failure_info=TimeoutFailureInfo(timeout_type=kind))


def child_terminated() -> Failure:
    """What a child that was terminated was stopped by."""
    return Failure(message="Terminated", terminated_failure_info=TerminatedFailureInfo())


def external(message: str, kind: str) -> Failure:
    """Another workflow could not be reached."""
    return Failure(message=message, application_failure_info=ApplicationFailureInfo(type=kind))


def nexus(message: str, machine: Any, cause: Failure) -> Failure:
    """A Nexus operation that this workflow gave up."""
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
