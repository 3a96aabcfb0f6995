"""The one place with tables of Temporal's event names."""

from __future__ import annotations

COMMAND_EVENTS = frozenset(
    [
        "ActivityTaskScheduled",
        "ActivityTaskCancelRequested",
        "MarkerRecorded",
        "TimerStarted",
        "TimerCanceled",
        "StartChildWorkflowExecutionInitiated",
        "SignalExternalWorkflowExecutionInitiated",
        "RequestCancelExternalWorkflowExecutionInitiated",
        "UpsertWorkflowSearchAttributes",
        "WorkflowPropertiesModified",
        "NexusOperationScheduled",
        "NexusOperationCancelRequested",
        "WorkflowExecutionCompleted",
        "WorkflowExecutionFailed",
        "WorkflowExecutionCanceled",
        "WorkflowExecutionContinuedAsNew",
        "WorkflowExecutionUpdateAccepted",
        "WorkflowExecutionUpdateCompleted",
        "WorkflowExecutionUpdateRejected",
    ]
)
FINAL_EVENTS = frozenset(
    [
        "WorkflowExecutionCompleted",
        "WorkflowExecutionFailed",
        "WorkflowExecutionCanceled",
        "WorkflowExecutionContinuedAsNew",
        "WorkflowExecutionTimedOut",
        "WorkflowExecutionTerminated",
    ]
)
