"""What the replay reads of each recorded event, and nothing else.

`of` is the event that the command was recorded with, under whatever name the type gives it: that is how a later event
finds what it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _about(key: str) -> Callable[[str], str]:
    """The spelling of an event's fields, where `of` is spelled `key`."""
    return lambda name: key if name == "of" else _camel(name)


_SCHEDULED = _about("scheduledEventId")
_STARTED = _about("startedEventId")
_INITIATED = _about("initiatedEventId")
NOTHING = msgspec.Raw()
_JSON = {"encoding": b"json/plain"}
_PLAIN = Payload(metadata=_JSON)
M = TypeVar("M", bound=Message)


class Struct(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A part of an event."""


class RawPayload(Struct, frozen=True):
    """A recorded value."""

    metadata: dict[str, bytes] = {}
    data: bytes = b""
    external_payloads: msgspec.Raw = NOTHING

    def proto(self) -> Payload:
        """The value as the SDK's converters take it."""
        payload = Payload()
        self.write(payload)
        return payload

    def write(self, payload: Payload) -> None:
        """Write the value where it is to stand: each message that is put into another one is copied."""
        if self.metadata == _JSON:
            payload.CopyFrom(_PLAIN)
        else:
            for key, value in self.metadata.items():
                payload.metadata[key] = value
        payload.data = self.data
        if self.external_payloads:
            outside = b'{"externalPayloads":' + bytes(self.external_payloads) + b"}"
            payload.MergeFrom(parsed(msgspec.Raw(outside), Payload()))


class RawPayloads(Struct, frozen=True):
    """Recorded values in order."""

    payloads: list[RawPayload] = []

    def protos(self) -> list[Payload]:
        """The values as the SDK's converters take them."""
        return [payload.proto() for payload in self.payloads]


class Header(Struct, frozen=True):
    """What interceptors passed along."""

    fields: dict[str, RawPayload] = {}

    def protos(self) -> dict[str, Payload]:
        """The values by name."""
        return {name: payload.proto() for name, payload in self.fields.items()}


class Name(Struct, frozen=True):
    """A type of activity or workflow."""

    name: str = ""


class Execution(Struct, frozen=True):
    """A workflow and one run of it."""

    workflow_id: str = ""
    run_id: str = ""


class Nothing(Struct, frozen=True):
    """An event of whose content the replay needs nothing."""


class Started(Struct, frozen=True):
    """WorkflowExecutionStarted; what few runs have stays JSON until it is asked for."""

    workflow_type: Name | None = None
    input: RawPayloads = RawPayloads()
    header: Header = Header()
    identity: str = ""
    original_execution_run_id: str = ""
    first_execution_run_id: str = ""
    continued_execution_run_id: str = ""
    initiator: str = ""
    attempt: int = 0
    cron_schedule: str = ""
    parent_workflow_namespace: str = ""
    parent_workflow_execution: Execution | None = None
    root_workflow_execution: Execution | None = None
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


class Completed(Struct, frozen=True):
    """WorkflowExecutionCompleted."""

    result: RawPayloads = RawPayloads()


class TaskStarted(Struct, frozen=True, rename=_SCHEDULED):
    """WorkflowTaskStarted."""

    of: int = 0
    history_size_bytes: int = 0
    suggest_continue_as_new: bool = False
    suggest_continue_as_new_reasons: list[str] = []
    target_worker_deployment_version_changed: bool = False


class SdkMetadata(Struct, frozen=True):
    """Which rules the worker that completed a task was following."""

    core_used_flags: list[int] = []
    lang_used_flags: list[int] = []
    sdk_name: str = ""
    sdk_version: str = ""


class WorkerVersion(Struct, frozen=True):
    """A build, in its first spelling."""

    build_id: str = ""


class DeploymentVersion(Struct, frozen=True):
    """A build of a named deployment."""

    deployment_name: str = ""
    build_id: str = ""


class TaskCompleted(Struct, frozen=True, rename=_SCHEDULED):
    """WorkflowTaskCompleted."""

    of: int = 0
    sdk_metadata: SdkMetadata | None = None
    worker_version: WorkerVersion | None = None
    worker_deployment_name: str = ""
    worker_deployment_version: str = ""
    deployment_version: DeploymentVersion | None = None


class TaskFailed(Struct, frozen=True, rename=_SCHEDULED):
    """WorkflowTaskFailed; a reset is written as one."""

    of: int = 0
    cause: str = ""
    new_run_id: str = ""


class ActivityScheduled(Struct, frozen=True):
    """ActivityTaskScheduled; its options stay JSON, as they are nearly always those of the one before."""

    activity_id: str = ""
    activity_type: Name = Name()
    input: RawPayloads = RawPayloads()
    task_queue: msgspec.Raw = NOTHING
    header: msgspec.Raw = NOTHING
    schedule_to_close_timeout: msgspec.Raw = NOTHING
    schedule_to_start_timeout: msgspec.Raw = NOTHING
    start_to_close_timeout: msgspec.Raw = NOTHING
    heartbeat_timeout: msgspec.Raw = NOTHING
    retry_policy: msgspec.Raw = NOTHING
    priority: msgspec.Raw = NOTHING


class OfScheduled(Struct, frozen=True, rename=_SCHEDULED):
    """Any event that only says which scheduled event it is about."""

    of: int = 0


class OfInitiated(Struct, frozen=True, rename=_INITIATED):
    """Any event that only says which initiated event it is about."""

    of: int = 0


class ActivityCompleted(Struct, frozen=True, rename=_SCHEDULED):
    """ActivityTaskCompleted."""

    of: int = 0
    result: RawPayloads | None = None


class ActivityClosed(Struct, frozen=True, rename=_SCHEDULED):
    """ActivityTaskFailed, TimedOut and Canceled."""

    of: int = 0
    started_event_id: int = 0
    identity: str = ""
    retry_state: str = ""
    failure: msgspec.Raw = NOTHING
    details: msgspec.Raw = NOTHING


class TimerStarted(Struct, frozen=True):
    """TimerStarted."""

    timer_id: str = ""
    start_to_fire_timeout: str = ""


class TimerFired(Struct, frozen=True, rename=_STARTED):
    """TimerFired and TimerCanceled."""

    of: int = 0
    timer_id: str = ""


class Marker(Struct, frozen=True):
    """MarkerRecorded: a patch, a local activity, or another SDK's."""

    marker_name: str = ""
    details: dict[str, RawPayloads] = {}
    failure: msgspec.Raw = NOTHING


class Signaled(Struct, frozen=True):
    """WorkflowExecutionSignaled."""

    signal_name: str = ""
    input: RawPayloads = RawPayloads()
    identity: str = ""
    header: Header = Header()


class CancelAsked(Struct, frozen=True):
    """WorkflowExecutionCancelRequested."""

    cause: str = ""


class ChildInitiated(Struct, frozen=True):
    """StartChildWorkflowExecutionInitiated."""

    workflow_id: str = ""
    workflow_type: Name = Name()


class ChildClosed(Struct, frozen=True, rename=_INITIATED):
    """The ways in which a child ends, or fails to start."""

    of: int = 0
    cause: str = ""
    result: RawPayloads | None = None
    failure: msgspec.Raw = NOTHING
    retry_state: str = ""


class ChildStarted(Struct, frozen=True, rename=_INITIATED):
    """ChildWorkflowExecutionStarted."""

    of: int = 0
    workflow_execution: Execution | None = None


class SearchAttributes(Struct, frozen=True):
    """Which search attributes were set."""

    indexed_fields: dict[str, msgspec.Raw] = {}


class Upserted(Struct, frozen=True):
    """UpsertWorkflowSearchAttributes."""

    search_attributes: SearchAttributes = SearchAttributes()


class UpdateAccepted(Struct, frozen=True):
    """WorkflowExecutionUpdateAccepted."""

    protocol_instance_id: str = ""
    accepted_request_message_id: str = ""
    accepted_request_sequencing_event_id: int = 0
    accepted_request: msgspec.Raw = NOTHING


class Outcome(Struct, frozen=True):
    """How an update ended, as far as it ended well."""

    success: RawPayloads | None = None


class UpdateCompleted(Struct, frozen=True):
    """WorkflowExecutionUpdateCompleted."""

    outcome: Outcome = Outcome()


class UpdateAdmitted(Struct, frozen=True):
    """WorkflowExecutionUpdateAdmitted."""

    request: msgspec.Raw = NOTHING


class NexusScheduled(Struct, frozen=True):
    """NexusOperationScheduled."""

    service: str = ""
    operation: str = ""


class NexusEvent(Struct, frozen=True, rename=_SCHEDULED):
    """What becomes of a Nexus operation."""

    of: int = 0
    operation_token: str = ""
    result: RawPayload | None = None
    failure: msgspec.Raw = NOTHING


def parsed(raw: msgspec.Raw, into: M) -> M:
    """A part that is needed as the SDK's own message; the slow way, for what is rare."""
    json_format.Parse(bytes(raw), into, ignore_unknown_fields=True)
    return into


def present(raw: msgspec.Raw) -> bool:
    """Whether the event has this part at all."""
    return raw != NOTHING and bytes(raw) != b"null"
