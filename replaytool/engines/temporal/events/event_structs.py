"""The fields of each recorded event that the replay reads, and no others.

`of` is the ID of the event that recorded the command. Each event type spells it differently; here it always has this
name, so that a later event finds its command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload


def _to_camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _rename_reference(key: str) -> Callable[[str], str]:
    """Return a renaming to camel case that spells the field `of` as `key`."""
    return lambda name: key if name == "of" else _to_camel_case(name)


_SCHEDULED = _rename_reference("scheduledEventId")
_STARTED = _rename_reference("startedEventId")
_INITIATED = _rename_reference("initiatedEventId")
NOTHING = msgspec.Raw()
_JSON = {"encoding": b"json/plain"}
_PLAIN = Payload(metadata=_JSON)
M = TypeVar("M", bound=Message)


class EventPart(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A part of an event."""


class RawPayload(EventPart, frozen=True):
    """A recorded value."""

    metadata: dict[str, bytes] = {}
    data: bytes = b""
    external_payloads: msgspec.Raw = NOTHING

    def to_proto(self) -> Payload:
        """Return the value as the SDK's converters take it."""
        payload = Payload()
        self.write_proto(payload)
        return payload

    def write_proto(self, payload: Payload) -> None:
        """Write the value into `payload`.

        Building it in place saves a copy: protobuf copies each message that is assigned.
        """
        if self.metadata == _JSON:
            payload.CopyFrom(_PLAIN)
        else:
            for key, value in self.metadata.items():
                payload.metadata[key] = value
        payload.data = self.data
        if self.external_payloads:
            outside = b'{"externalPayloads":' + bytes(self.external_payloads) + b"}"
            payload.MergeFrom(parse_message(msgspec.Raw(outside), Payload()))


class RawPayloads(EventPart, frozen=True):
    """Recorded values in order."""

    payloads: list[RawPayload] = []

    def to_protos(self) -> list[Payload]:
        """Return the values as the SDK's converters take them."""
        return [payload.to_proto() for payload in self.payloads]


class PayloadHeader(EventPart, frozen=True):
    """Headers that interceptors passed along."""

    fields: dict[str, RawPayload] = {}

    def to_proto_map(self) -> dict[str, Payload]:
        """Return the values by name."""
        return {name: payload.to_proto() for name, payload in self.fields.items()}


class TypeName(EventPart, frozen=True):
    """An activity type or workflow type."""

    name: str = ""


class WorkflowExecution(EventPart, frozen=True):
    """A workflow ID and a run ID."""

    workflow_id: str = ""
    run_id: str = ""


class NoAttributes(EventPart, frozen=True):
    """An event of which the replay reads no field."""


class WorkflowStarted(EventPart, frozen=True):
    """WorkflowExecutionStarted. Fields that few runs have stay JSON until they are needed."""

    workflow_type: TypeName | None = None
    input: RawPayloads = RawPayloads()
    header: PayloadHeader = PayloadHeader()
    identity: str = ""
    original_execution_run_id: str = ""
    first_execution_run_id: str = ""
    continued_execution_run_id: str = ""
    initiator: str = ""
    attempt: int = 0
    cron_schedule: str = ""
    parent_workflow_namespace: str = ""
    parent_workflow_execution: WorkflowExecution | None = None
    root_workflow_execution: WorkflowExecution | None = None
    workflow_execution_timeout: str = ""
    workflow_run_timeout: str = ""
    workflow_task_timeout: str = ""
    first_workflow_task_backoff: str = ""
    workflow_execution_expiration_time: str = ""
    continued_failure: msgspec.Raw = NOTHING
    last_completion_result: msgspec.Raw = NOTHING
    retry_policy: msgspec.Raw = NOTHING
    memo: msgspec.Raw = NOTHING
    search_attributes: msgspec.Raw = NOTHING
    priority: msgspec.Raw = NOTHING


class WorkflowCompleted(EventPart, frozen=True):
    """WorkflowExecutionCompleted."""

    result: RawPayloads = RawPayloads()


class TaskStarted(EventPart, frozen=True, rename=_SCHEDULED):
    """WorkflowTaskStarted."""

    of: int = 0
    history_size_bytes: int = 0
    suggest_continue_as_new: bool = False
    suggest_continue_as_new_reasons: list[str] = []
    target_worker_deployment_version_changed: bool = False


class SdkMetadata(EventPart, frozen=True):
    """The SDK and the flags of the worker that completed a task."""

    core_used_flags: list[int] = []
    lang_used_flags: list[int] = []
    sdk_name: str = ""
    sdk_version: str = ""


class WorkerVersion(EventPart, frozen=True):
    """A build ID, as servers before worker deployments record it."""

    build_id: str = ""


class DeploymentVersion(EventPart, frozen=True):
    """A build of a worker deployment."""

    deployment_name: str = ""
    build_id: str = ""


class TaskCompleted(EventPart, frozen=True, rename=_SCHEDULED):
    """WorkflowTaskCompleted."""

    of: int = 0
    sdk_metadata: SdkMetadata | None = None
    worker_version: WorkerVersion | None = None
    worker_deployment_name: str = ""
    worker_deployment_version: str = ""
    deployment_version: DeploymentVersion | None = None


class TaskFailed(EventPart, frozen=True, rename=_SCHEDULED):
    """WorkflowTaskFailed. The server records a reset as one."""

    of: int = 0
    cause: str = ""
    new_run_id: str = ""


class ActivityScheduled(EventPart, frozen=True):
    """ActivityTaskScheduled. The options stay JSON: they are nearly always equal to those of the activity before."""

    activity_id: str = ""
    activity_type: TypeName = TypeName()
    input: RawPayloads = RawPayloads()
    task_queue: msgspec.Raw = NOTHING
    header: msgspec.Raw = NOTHING
    schedule_to_close_timeout: msgspec.Raw = NOTHING
    schedule_to_start_timeout: msgspec.Raw = NOTHING
    start_to_close_timeout: msgspec.Raw = NOTHING
    heartbeat_timeout: msgspec.Raw = NOTHING
    retry_policy: msgspec.Raw = NOTHING
    priority: msgspec.Raw = NOTHING


class ScheduledReference(EventPart, frozen=True, rename=_SCHEDULED):
    """An event of which only the scheduled event it refers to matters."""

    of: int = 0


class InitiatedReference(EventPart, frozen=True, rename=_INITIATED):
    """An event of which only the initiated event it refers to matters."""

    of: int = 0


class ActivityCompleted(EventPart, frozen=True, rename=_SCHEDULED):
    """ActivityTaskCompleted."""

    of: int = 0
    result: RawPayloads | None = None


class ActivityClosed(EventPart, frozen=True, rename=_SCHEDULED):
    """ActivityTaskFailed, ActivityTaskTimedOut and ActivityTaskCanceled."""

    of: int = 0
    started_event_id: int = 0
    identity: str = ""
    retry_state: str = ""
    failure: msgspec.Raw = NOTHING
    details: msgspec.Raw = NOTHING


class TimerStarted(EventPart, frozen=True):
    """TimerStarted."""

    timer_id: str = ""
    start_to_fire_timeout: str = ""


class TimerFired(EventPart, frozen=True, rename=_STARTED):
    """TimerFired and TimerCanceled."""

    of: int = 0
    timer_id: str = ""


class MarkerRecorded(EventPart, frozen=True):
    """MarkerRecorded: a patch, a local activity, or a marker of another SDK."""

    marker_name: str = ""
    details: dict[str, RawPayloads] = {}
    failure: msgspec.Raw = NOTHING


class WorkflowSignaled(EventPart, frozen=True):
    """WorkflowExecutionSignaled."""

    signal_name: str = ""
    input: RawPayloads = RawPayloads()
    identity: str = ""
    header: PayloadHeader = PayloadHeader()


class CancelRequested(EventPart, frozen=True):
    """WorkflowExecutionCancelRequested."""

    cause: str = ""


class ChildInitiated(EventPart, frozen=True):
    """StartChildWorkflowExecutionInitiated."""

    workflow_id: str = ""
    workflow_type: TypeName = TypeName()


class ChildClosed(EventPart, frozen=True, rename=_INITIATED):
    """The events that close a child workflow, or record that it failed to start."""

    of: int = 0
    cause: str = ""
    result: RawPayloads | None = None
    failure: msgspec.Raw = NOTHING
    retry_state: str = ""


class ChildStarted(EventPart, frozen=True, rename=_INITIATED):
    """ChildWorkflowExecutionStarted."""

    of: int = 0
    workflow_execution: WorkflowExecution | None = None


class SearchAttributes(EventPart, frozen=True):
    """The search attributes that were set."""

    indexed_fields: dict[str, msgspec.Raw] = {}


class SearchAttributesUpserted(EventPart, frozen=True):
    """UpsertWorkflowSearchAttributes."""

    search_attributes: SearchAttributes = SearchAttributes()


class UpdateAccepted(EventPart, frozen=True):
    """WorkflowExecutionUpdateAccepted."""

    protocol_instance_id: str = ""
    accepted_request_message_id: str = ""
    accepted_request_sequencing_event_id: int = 0
    accepted_request: msgspec.Raw = NOTHING


class UpdateOutcome(EventPart, frozen=True):
    """The outcome of an update; only success is read."""

    success: RawPayloads | None = None


class UpdateCompleted(EventPart, frozen=True):
    """WorkflowExecutionUpdateCompleted."""

    outcome: UpdateOutcome = UpdateOutcome()


class UpdateAdmitted(EventPart, frozen=True):
    """WorkflowExecutionUpdateAdmitted."""

    request: msgspec.Raw = NOTHING


class NexusScheduled(EventPart, frozen=True):
    """NexusOperationScheduled."""

    service: str = ""
    operation: str = ""


class NexusEvent(EventPart, frozen=True, rename=_SCHEDULED):
    """The events after NexusOperationScheduled."""

    of: int = 0
    operation_token: str = ""
    result: RawPayload | None = None
    failure: msgspec.Raw = NOTHING


def parse_message(raw: msgspec.Raw, into: M) -> M:
    """Parse a part into the SDK's own message. Slow: only for fields that few runs have."""
    json_format.Parse(bytes(raw), into, ignore_unknown_fields=True)
    return into


def is_present(raw: msgspec.Raw) -> bool:
    """Return whether the event has this part."""
    return raw != NOTHING and bytes(raw) != b"null"
