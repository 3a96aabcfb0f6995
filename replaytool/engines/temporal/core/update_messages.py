"""Rebuild update requests from events: a worker gets them as protocol messages, the history keeps two events."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from google.protobuf.json_format import ParseError
from temporalio.api.update.v1 import Request
from temporalio.bridge.proto.workflow_activation import DoUpdate, WorkflowActivationJob

from replaytool.engines.temporal.core.state_machines.base import Fault
from replaytool.engines.temporal.core.state_machines.update import UpdateMachine
from replaytool.engines.temporal.events.event_structs import UpdateAccepted, UpdateAdmitted, is_present, parse_message

_FROM_ADMITTED = "Failed to create protocol message from WorkflowExecutionUpdateAdmittedEvent"
_FROM_ACCEPTED = "Failed to create protocol message from WorkflowExecutionUpdateAcceptedEvent"


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """A request to run an update, and the event after which it is delivered."""

    instance_id: str
    after_event_id: int
    request: Request


def read_admitted_update(admitted: UpdateAdmitted, event_id: int) -> UpdateRequest | Fault:
    """Return the request of an UpdateAdmitted event: one that a reset re-applied."""
    request = _parse_request(admitted.request)
    if request is None:
        return Fault("fatal", _FROM_ADMITTED)
    return UpdateRequest(request.meta.update_id, event_id, request)


def read_accepted_update(accepted: UpdateAccepted) -> UpdateRequest | Fault:
    """Return the request of an UpdateAccepted event."""
    request = _parse_request(accepted.accepted_request)
    if request is None:
        return Fault("fatal", _FROM_ACCEPTED)
    return UpdateRequest(accepted.protocol_instance_id, accepted.accepted_request_sequencing_event_id, request)


def _parse_request(raw: msgspec.Raw) -> Request | None:
    if not is_present(raw):
        return None
    try:
        request = parse_message(raw, Request())
    except ParseError:
        return None
    return request if request.HasField("meta") and request.HasField("input") else None


def create_update_machine(
    message: UpdateRequest, *, run_validator: bool
) -> tuple[UpdateMachine, WorkflowActivationJob]:
    """Return the state machine of an update and the job that starts it."""
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
    return UpdateMachine(None, job), WorkflowActivationJob(do_update=job)
