"""Build the `initialize_workflow` job of a run from its first event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Memo, Payloads, Priority, RetryPolicy, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.common import NamespacedWorkflowExecution
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, WorkflowActivationJob

from replaytool.engines.temporal.core.random_seed import derive_random_seed
from replaytool.engines.temporal.events.event_structs import WorkflowStarted, is_present, parse_message

_SECOND = 1_000_000_000
_HAS_ORIGINAL_ID = "original_execution_run_id" in InitializeWorkflow.DESCRIPTOR.fields_by_name
_NO_INITIATOR = ContinueAsNewInitiator.ValueType(0)
_INITIATORS = dict(ContinueAsNewInitiator.items())
_DURATIONS = (
    ("workflow_execution_timeout", "workflow_execution_timeout"),
    ("workflow_run_timeout", "workflow_run_timeout"),
    ("workflow_task_timeout", "workflow_task_timeout"),
    ("first_workflow_task_backoff", "cron_schedule_to_schedule_interval"),
)
_RARE: tuple[tuple[str, Callable[[], Any]], ...] = (
    ("continued_failure", Failure),
    ("last_completion_result", Payloads),
    ("retry_policy", RetryPolicy),
    ("memo", Memo),
    ("search_attributes", SearchAttributes),
    ("priority", Priority),
)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the replay of a run needs beside its events."""

    workflow_id: str
    """From the exported history: older servers do not write it into the first event."""


def to_timestamp(nanoseconds: int) -> Timestamp:
    """Convert nanoseconds to a proto timestamp."""
    return Timestamp(seconds=nanoseconds // _SECOND, nanos=nanoseconds % _SECOND)


def build_initialize_job(started: WorkflowStarted, workflow_id: str, time: int | None) -> WorkflowActivationJob:
    """Build the job that starts the workflow."""
    job = InitializeWorkflow(
        workflow_type=started.workflow_type.name if started.workflow_type else "",
        workflow_id=workflow_id,
        arguments=started.input.to_protos(),
        randomness_seed=derive_random_seed(started.original_execution_run_id),
        headers=started.header.to_proto_map(),
        identity=started.identity,
        continued_from_execution_run_id=started.continued_execution_run_id,
        first_execution_run_id=started.first_execution_run_id,
        attempt=started.attempt,
        cron_schedule=started.cron_schedule,
        start_time=to_timestamp(time or 0),
        continued_initiator=_INITIATORS.get(started.initiator, _NO_INITIATOR),
    )
    if _HAS_ORIGINAL_ID:
        job.original_execution_run_id = started.original_execution_run_id
    _add_related_workflows(job, started)
    _add_timeouts(job, started)
    for name, kind in _RARE:
        raw = getattr(started, name)
        if is_present(raw):
            getattr(job, name).CopyFrom(parse_message(raw, kind()))
    return WorkflowActivationJob(initialize_workflow=job)


def _add_related_workflows(job: InitializeWorkflow, started: WorkflowStarted) -> None:
    parent, root = started.parent_workflow_execution, started.root_workflow_execution
    if parent is not None:
        named = NamespacedWorkflowExecution(
            namespace=started.parent_workflow_namespace, workflow_id=parent.workflow_id, run_id=parent.run_id
        )
        job.parent_workflow_info.CopyFrom(named)
    if root is not None:
        job.root_workflow.CopyFrom(WorkflowExecution(workflow_id=root.workflow_id, run_id=root.run_id))


def _add_timeouts(job: InitializeWorkflow, started: WorkflowStarted) -> None:
    for recorded, field in _DURATIONS:
        text = getattr(started, recorded)
        if text:
            getattr(job, field).CopyFrom(parse_duration(text))
    if started.workflow_execution_expiration_time:
        job.workflow_execution_expiration_time.FromJsonString(started.workflow_execution_expiration_time)


def parse_duration(text: str) -> Duration:
    """Parse a duration of an event, such as `10s`."""
    if text.endswith("s") and text[:-1].isdigit():
        return Duration(seconds=int(text[:-1]))
    found = Duration()
    found.FromJsonString(text)
    return found
