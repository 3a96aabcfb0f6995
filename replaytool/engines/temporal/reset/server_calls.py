"""The few questions that a reset asks a server, and the one thing that it does there."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaytool.engines.temporal.reset.run_facts import Record, record
from replaytool.engines.temporal.server.client import CALL_TIMEOUT, connected, explained, is_namespace_unknown
from replaytool.engines.temporal.server.options import ServerOptions, Target, resolve
from replaytool.errors import FINDINGS, ReplaytoolError
from replaytool.formats.temporal.proto_files import TemporalProto
from replaytool.model.history import Hints, Payload, Run

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.client import Client
    from temporalio.service import RPCError

RESET_TIMEOUT = timedelta(seconds=20)
QUERY_TIMEOUT = timedelta(seconds=10)
EXCLUDES = {"signals": 1, "updates": 2}
"""What may be kept from coming back, by the numbers of ResetReapplyExcludeType."""
_PAGE = 1000
_STATUS = {6: "ContinuedAsNew", 7: "TimedOut"}


@dataclass(frozen=True, slots=True)
class ServerPoint:
    """A reset point as the server keeps it."""

    build_id: str
    run_id: str
    event_id: int
    resettable: bool
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class Described:
    """A run as the server describes it."""

    run_id: str
    status: str
    events: int
    reset_run_id: str | None
    """The newest run that was forked from it."""
    closed_at: datetime | None
    points: tuple[ServerPoint, ...]


@dataclass(frozen=True, slots=True)
class Poller:
    """A worker that asks for workflow tasks."""

    task_queue: str
    identity: str
    build_id: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class How:
    """What is the same for all resets of an apply."""

    reason: str = ""
    exclude: tuple[str, ...] = ()
    pin: tuple[str, str] | None = None
    """Deployment and build that the new runs are pinned to, in the same transaction as the reset."""


class Refused(Exception):
    """The server said no, and nothing happened."""


class AnswerLost(Exception):
    """Nobody knows whether it happened."""


class Server:
    """One namespace of one server."""

    def __init__(self, client: Client, target: Target) -> None:
        self._client = client
        self.target = target

    @classmethod
    async def reached(cls, options: ServerOptions) -> Server:
        """A server that answers and knows the namespace; the reason why not, otherwise."""
        target = resolve(options)
        server = cls(await connected(target), target)
        await server.retention()
        return server

    async def retention(self) -> timedelta | None:
        """How long the namespace keeps closed runs."""
        from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

        request = DescribeNamespaceRequest(namespace=self.target.namespace)
        found = await self._asked(self._client.workflow_service.describe_namespace, request)
        return found.config.workflow_execution_retention_ttl.ToTimedelta() or None

    async def described(self, workflow_id: str, run_id: str = "") -> Described | None:
        """The run, or the newest of the workflow; none where the server has it no longer."""
        from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
        from temporalio.service import RPCError, RPCStatusCode

        request = DescribeWorkflowExecutionRequest(namespace=self.target.namespace)
        request.execution.workflow_id, request.execution.run_id = workflow_id, run_id
        try:
            found = await self._call(self._client.workflow_service.describe_workflow_execution, request)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND and not is_namespace_unknown(error):
                return None
            raise self._explained(error) from error
        return _described(found)

    async def event(self, workflow_id: str, run_id: str, event_id: int) -> HistoryEvent | None:
        """One event of a run."""
        async for event in self._events(workflow_id, run_id):
            if event.event_id >= event_id:
                return event if event.event_id == event_id else None
        return None

    async def events(self, workflow_id: str, run_id: str) -> list[HistoryEvent]:
        """All events of a run."""
        return [event async for event in self._events(workflow_id, run_id)]

    async def record(self, workflow_id: str, run_id: str) -> Record:
        """What the run as the server has it now says about resets."""
        run = await self.run(workflow_id, run_id)
        return record(_row(run, workflow_id, run_id), run.events)

    async def run(self, workflow_id: str, run_id: str) -> Run:
        """The run as the server has it now, read as a loaded one is."""
        from temporalio.api.history.v1 import History

        content = History(events=await self.events(workflow_id, run_id)).SerializeToString()
        hints = Hints(workflow_id, self.target.namespace, workflow_id, run_id)
        return next(TemporalProto().read(io.BytesIO(content), hints))

    async def queried(self, workflow_id: str, name: str) -> tuple[Payload | None, str | None]:
        """A worker's answer to a query, or why there is none."""
        from temporalio.api.query.v1 import WorkflowQuery
        from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
        from temporalio.service import RPCError

        request = QueryWorkflowRequest(namespace=self.target.namespace, query=WorkflowQuery(query_type=name))
        request.execution.workflow_id = workflow_id
        try:
            found = await self._client.workflow_service.query_workflow(request, timeout=QUERY_TIMEOUT)
        except RPCError as error:
            return None, str(error.message)
        held = found.query_result.payloads
        return (Payload(held[0].data, dict(held[0].metadata)) if held else None), None

    async def pollers(self, task_queue: str) -> list[Poller]:
        """Who asked for workflow tasks of the queue in the last minutes."""
        from temporalio.api.enums.v1 import TaskQueueType
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

        request = DescribeTaskQueueRequest(
            namespace=self.target.namespace, task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
        )
        request.task_queue.name = task_queue
        found = await self._asked(self._client.workflow_service.describe_task_queue, request)
        return [_poller(task_queue, one) for one in found.pollers]

    async def reset(
        self, workflow_id: str, run_id: str, event_id: int, token: str, how: How, timeout: timedelta = RESET_TIMEOUT
    ) -> str:
        """Reset once, and not again: the id of the new run. Servers since 1.31 do not know a repeated request."""
        from temporalio.service import RPCError

        request = reset_request(self.target.namespace, workflow_id, run_id, event_id, token, how)
        request.identity = self._client.identity
        try:
            done = await self._client.workflow_service.reset_workflow_execution(request, retry=False, timeout=timeout)
        except RPCError as error:
            raise self._judged(error) from error
        return str(done.run_id)

    def _judged(self, error: RPCError) -> Exception:
        """Whether it is about all of them, about this one, or about nothing that anybody knows."""
        from temporalio.service import RPCStatusCode as Code

        text = self.target.redacted(error.message)
        if is_namespace_unknown(error) or error.status in (
            Code.PERMISSION_DENIED,
            Code.UNAUTHENTICATED,
            Code.UNIMPLEMENTED,
        ):
            return self._explained(error)
        definite = (Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.ALREADY_EXISTS)
        if error.status in (*definite, Code.OUT_OF_RANGE):
            return Refused(text)
        return AnswerLost(f"{text} ({error.status.name})")

    def _explained(self, error: RPCError) -> ReplaytoolError:
        found = explained(self.target, error)
        return ReplaytoolError(found.message, found.hint, FINDINGS if _may_pass(error) else found.exit_code)

    async def _events(self, workflow_id: str, run_id: str) -> AsyncIterator[HistoryEvent]:
        from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest

        request = GetWorkflowExecutionHistoryRequest(namespace=self.target.namespace, maximum_page_size=_PAGE)
        request.execution.workflow_id, request.execution.run_id = workflow_id, run_id
        while True:
            page = await self._asked(self._client.workflow_service.get_workflow_execution_history, request)
            for event in (*page.history.events, *_raw(page)):
                yield event
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token

    async def _asked(self, method: Any, request: Any) -> Any:
        from temporalio.service import RPCError

        try:
            return await self._call(method, request)
        except RPCError as error:
            raise self._explained(error) from error

    async def _call(self, method: Any, request: Any) -> Any:
        """A question may be asked again; only the reset itself may not."""
        return await method(request, retry=True, timeout=CALL_TIMEOUT)


def reset_request(namespace: str, workflow_id: str, run_id: str, event_id: int, token: str, how: How) -> Any:
    """The request for one reset, with the token where the history will keep it."""
    from temporalio.api.workflow.v1 import VersioningOverride
    from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

    request = ResetWorkflowExecutionRequest(
        namespace=namespace,
        reason=f"{token} {how.reason}".strip(),
        workflow_task_finish_event_id=event_id,
        # Up to 1.30 the server takes a second request with this id for the first one.
        request_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{token}/{run_id}")),
        reset_reapply_exclude_types=[EXCLUDES[name] for name in how.exclude],  # type: ignore[misc]
    )
    request.workflow_execution.workflow_id, request.workflow_execution.run_id = workflow_id, run_id
    if how.pin is not None:
        operation = request.post_reset_operations.add().update_workflow_options
        operation.update_mask.paths.append("versioning_override")
        pinned = operation.workflow_execution_options.versioning_override.pinned
        pinned.version.deployment_name, pinned.version.build_id = how.pin
        pinned.behavior = VersioningOverride.PinnedOverrideBehavior.PINNED_OVERRIDE_BEHAVIOR_PINNED
    return request


def carries(event: HistoryEvent | None, token: str) -> bool:
    """Whether this event is a reset with this token; the official tool writes a user's name before it."""
    if event is None or not event.HasField("workflow_task_failed_event_attributes"):
        return False
    failed = event.workflow_task_failed_event_attributes
    return bool(failed.new_run_id) and token in failed.failure.message.split()


def _raw(page: Any) -> list[HistoryEvent]:
    from temporalio.api.history.v1 import History

    return [event for blob in page.raw_history for event in History.FromString(blob.data).events]


def _may_pass(error: RPCError) -> bool:
    from temporalio.service import RPCStatusCode as Code

    return error.status in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.RESOURCE_EXHAUSTED)


def _described(found: Any) -> Described:
    from temporalio.api.enums.v1 import WorkflowExecutionStatus

    info = found.workflow_execution_info
    name = WorkflowExecutionStatus.Name(info.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    return Described(
        run_id=info.execution.run_id,
        status=_STATUS.get(info.status, name.capitalize()),
        events=info.history_length,
        reset_run_id=found.workflow_extended_info.reset_run_id or None,
        closed_at=info.close_time.ToDatetime() if info.HasField("close_time") else None,
        points=tuple(_point(one) for one in info.auto_reset_points.points),
    )


def _point(found: Any) -> ServerPoint:
    expires = found.expire_time.ToJsonString() if found.HasField("expire_time") else None
    build = found.build_id or found.binary_checksum
    return ServerPoint(build, found.run_id, found.first_workflow_task_completed_id, found.resettable, expires)


def _poller(task_queue: str, found: Any) -> Poller:
    build = found.deployment_options.build_id or found.worker_version_capabilities.build_id
    return Poller(task_queue, found.identity, build, found.last_access_time.ToDatetime())


def _row(run: Run, workflow_id: str, run_id: str) -> dict[str, Any]:
    names = ("workflow_type", "task_queue", "status", "first_run_id", "continued_run_id", "parent_workflow_id")
    row = {name: getattr(run, name) for name in names}
    return row | {"run_key": run_id, "workflow_id": workflow_id, "run_id": run_id, "namespace": run.namespace}
