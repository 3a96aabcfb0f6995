"""Updates come as messages on the wire; the record keeps them in two events, from which the message is made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import ParseError
from temporalio.api.update.v1 import Request
from temporalio.bridge.proto.workflow_activation import DoUpdate, WorkflowActivationJob

from replaytool.engines.temporal.core.state_machines.base import Fault
from replaytool.engines.temporal.core.state_machines.local_activity import Update
from replaytool.engines.temporal.events.event_structs import is_present, parse_message

_FROM_ADMITTED = "Failed to create protocol message from WorkflowExecutionUpdateAdmittedEvent"
_FROM_ACCEPTED = "Failed to create protocol message from WorkflowExecutionUpdateAcceptedEvent"


@dataclass(frozen=True, slots=True)
class Message:
    """A request to run an update."""

    instance_id: str
    after_event_id: int
    request: Request


def admitted(said: Any, event_id: int) -> Message | Fault:
    """The request that the server took in without telling a worker at once: durable, or re-applied by a reset."""
    request = _request(said.request)
    if request is None:
        return Fault("fatal", _FROM_ADMITTED)
    return Message(request.meta.update_id, event_id, request)


def requested(said: Any) -> Message | Fault:
    """The request that an accepted update must have been."""
    request = _request(said.accepted_request)
    if request is None:
        return Fault("fatal", _FROM_ACCEPTED)
    return Message(said.protocol_instance_id, said.accepted_request_sequencing_event_id, request)


def _request(raw: Any) -> Request | None:
    if not is_present(raw):
        return None
    try:
        request = parse_message(raw, Request())
    except ParseError:
        return None
    return request if request.HasField("meta") and request.HasField("input") else None


def update_of(message: Message, *, run_validator: bool) -> tuple[Update, WorkflowActivationJob]:
    """The machine of an update and the job that starts it."""
    request = message.request
    job = DoUpdate(
        id=request.meta.update_id,
        protocol_instance_id=message.instance_id,
        name=request.input.name,
        input=request.input.args.payloads,
        headers=dict(request.input.header.fields),
        meta=request.meta,
        run_validator=run_validator,
    )
    return Update(None, job), WorkflowActivationJob(do_update=job)
