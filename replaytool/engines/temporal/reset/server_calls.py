"""The calls of a reset to a Temporal server: a few reads, and the reset itself."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from replaytool.engines.temporal.reset.reset_run import count_messages, find_first_task, has_reset_token, read_reset_run
from replaytool.engines.temporal.reset.run_facts import read_run_facts
from replaytool.engines.temporal.server.client import (
    Response,
    call_with_retry,
    connect_client,
    explain_rpc_error,
    is_namespace_unknown,
    iterate_history_pages,
)
from replaytool.engines.temporal.server.options import resolve_target
from replaytool.errors import FINDINGS, ReplaytoolError
from replaytool.formats.temporal.proto_files import read_proto_runs
from replaytool.model.history import Payload, Run, RunHints
from replaytool.model.reset_server import (
    AnswerLost,
    FirstTask,
    Poller,
    ResetRefused,
    ResetRun,
    ResetSettings,
    RunDescription,
    ServerPoint,
)
from replaytool.model.run_facts import RunFacts
from replaytool.model.server_options import ServerOptions, ServerTarget

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.api.taskqueue.v1 import PollerInfo
    from temporalio.api.workflow.v1 import ResetPointInfo
    from temporalio.api.workflowservice.v1 import (
        DescribeWorkflowExecutionResponse,
        GetWorkflowExecutionHistoryResponse,
        ResetWorkflowExecutionRequest,
    )
    from temporalio.client import Client
    from temporalio.service import RPCError

RESET_TIMEOUT = timedelta(seconds=20)
QUERY_TIMEOUT = timedelta(seconds=10)
EXCLUDES = {"signals": 1, "updates": 2}
"""What a reset can leave out, by the numbers of ResetReapplyExcludeType."""
# `capitalize` makes Continued_as_new and Timed_out of these.
_STATUS = {6: "ContinuedAsNew", 7: "TimedOut"}


class ResetClient:
    """A client for the reset of runs in one namespace."""

    def __init__(self, client: Client, target: ServerTarget) -> None:
        self._client = client
        self.target = target

    @classmethod
    async def connect_to_server(cls, options: ServerOptions) -> ResetClient:
        """Connect, and check that the server has the namespace."""
        target = resolve_target(options)
        server = cls(await connect_client(target), target)
        # Connecting succeeds with any namespace. This is the first call that fails if it is unknown.
        await server.fetch_retention()
        return server

    async def fetch_retention(self) -> timedelta | None:
        """Return how long the namespace keeps closed runs."""
        from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

        request = DescribeNamespaceRequest(namespace=self.target.namespace)
        found = await self._call_or_explain(self._client.workflow_service.describe_namespace, request)
        return found.config.workflow_execution_retention_ttl.ToTimedelta() or None

    async def describe_run(self, workflow_id: str, run_id: str = "") -> RunDescription | None:
        """Return the run, or the newest run of the workflow. None if the server no longer has it."""
        from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
        from temporalio.service import RPCError, RPCStatusCode

        request = DescribeWorkflowExecutionRequest(namespace=self.target.namespace)
        request.execution.workflow_id, request.execution.run_id = workflow_id, run_id
        try:
            found = await call_with_retry(self._client.workflow_service.describe_workflow_execution, request)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND and not is_namespace_unknown(error):
                return None
            raise self._explain_error(error) from error
        return _build_description(found)

    async def is_reset_run(self, workflow_id: str, run_id: str, reset_event: int, token: str) -> bool:
        """Return whether the reset with this token made the run."""
        async for event in self._iterate_events(workflow_id, run_id):
            if event.event_id >= reset_event:
                return event.event_id == reset_event and has_reset_token(event, token)
        return False

    async def find_first_task(self, workflow_id: str, run_id: str, reset_event: int) -> FirstTask | None:
        """Return the task after the reset that decides, or None if none has ended yet."""
        return find_first_task(await self._fetch_events(workflow_id, run_id), reset_event)

    async def read_reset_run(self, workflow_id: str, run_id: str, reset_event: int, token: str) -> ResetRun | None:
        """Return what the run did since the reset; None if no reset with this token made it."""
        return read_reset_run(await self._fetch_events(workflow_id, run_id), reset_event, token)

    async def count_messages(self, workflow_id: str, run_id: str) -> int:
        """Return how many signals and updates a run has."""
        return count_messages(await self._fetch_events(workflow_id, run_id))

    async def _fetch_events(self, workflow_id: str, run_id: str) -> list[HistoryEvent]:
        return [event async for event in self._iterate_events(workflow_id, run_id)]

    async def fetch_run_facts(self, workflow_id: str, run_id: str) -> RunFacts:
        """Return the facts of the run as the server has it now."""
        run = await self.fetch_run(workflow_id, run_id)
        return read_run_facts(_build_run_row(run, workflow_id, run_id), run.events)

    async def fetch_run(self, workflow_id: str, run_id: str) -> Run:
        """Return the run as the server has it now, as a loaded run."""
        from temporalio.api.history.v1 import History

        content = History(events=await self._fetch_events(workflow_id, run_id)).SerializeToString()
        hints = RunHints(workflow_id, self.target.namespace, workflow_id, run_id)
        return next(read_proto_runs(io.BytesIO(content), hints))

    async def query_workflow(self, workflow_id: str, name: str) -> tuple[Payload | None, str | None]:
        """Return a worker's answer to a query, or why there is none."""
        from temporalio.api.query.v1 import WorkflowQuery
        from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
        from temporalio.service import RPCError

        request = QueryWorkflowRequest(namespace=self.target.namespace, query=WorkflowQuery(query_type=name))
        request.execution.workflow_id = workflow_id
        try:
            # Without the SDK's retries: a query waits for a worker, and there may be none.
            found = await self._client.workflow_service.query_workflow(request, timeout=QUERY_TIMEOUT)
        except RPCError as error:
            return None, str(error.message)
        held = found.query_result.payloads
        return (Payload(held[0].data, dict(held[0].metadata)) if held else None), None

    async def list_pollers(self, task_queue: str) -> list[Poller]:
        """Return the workers that polled the queue for workflow tasks in the last minutes."""
        from temporalio.api.enums.v1 import TaskQueueType
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

        request = DescribeTaskQueueRequest(
            namespace=self.target.namespace, task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
        )
        request.task_queue.name = task_queue
        found = await self._call_or_explain(self._client.workflow_service.describe_task_queue, request)
        return [_build_poller(task_queue, one) for one in found.pollers]

    async def reset_run(
        self,
        workflow_id: str,
        run_id: str,
        event_id: int,
        token: str,
        how: ResetSettings,
        timeout: timedelta = RESET_TIMEOUT,
    ) -> str:
        """Reset a run, without a retry. Return the ID of the new run.

        Servers since 1.31 do not recognize a repeated request: a retry would reset twice.
        """
        from temporalio.service import RPCError

        request = build_reset_request(self.target.namespace, workflow_id, run_id, event_id, token, how)
        request.identity = self._client.identity
        try:
            done = await self._client.workflow_service.reset_workflow_execution(request, retry=False, timeout=timeout)
        except RPCError as error:
            raise self._classify_error(error) from error
        return str(done.run_id)

    def _classify_error(self, error: RPCError) -> Exception:
        """Return the error to raise: about the whole server, about this run, or about a lost answer."""
        from temporalio.service import RPCStatusCode as Code

        text = self.target.redact_secrets(error.message)
        if is_namespace_unknown(error) or error.status in (
            Code.PERMISSION_DENIED,
            Code.UNAUTHENTICATED,
            Code.UNIMPLEMENTED,
        ):
            return self._explain_error(error)
        # With these the server changed nothing. Any other code may hide a reset that has happened.
        definite = (Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.ALREADY_EXISTS)
        if error.status in (*definite, Code.OUT_OF_RANGE):
            return ResetRefused(text)
        return AnswerLost(f"{text} ({error.status.name})")

    def _explain_error(self, error: RPCError) -> ReplaytoolError:
        found = explain_rpc_error(self.target, error)
        return ReplaytoolError(
            found.message, found.hint, FINDINGS if _is_temporary(error) else found.exit_code, code=found.code
        )

    async def _iterate_events(self, workflow_id: str, run_id: str) -> AsyncIterator[HistoryEvent]:
        from temporalio.service import RPCError

        try:
            async for page in iterate_history_pages(self._client, self.target.namespace, workflow_id, run_id):
                # A server that is configured to send raw history leaves `history` empty.
                for event in (*page.history.events, *_decode_raw_events(page)):
                    yield event
        except RPCError as error:
            raise self._explain_error(error) from error

    async def _call_or_explain(self, method: Callable[..., Awaitable[Response]], request: object) -> Response:
        from temporalio.service import RPCError

        try:
            return await call_with_retry(method, request)
        except RPCError as error:
            raise self._explain_error(error) from error


def build_reset_request(
    namespace: str, workflow_id: str, run_id: str, event_id: int, token: str, how: ResetSettings
) -> ResetWorkflowExecutionRequest:
    """Build the request for one reset. The token goes into the reason, which the history keeps."""
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


def _decode_raw_events(page: GetWorkflowExecutionHistoryResponse) -> list[HistoryEvent]:
    from temporalio.api.history.v1 import History

    return [event for blob in page.raw_history for event in History.FromString(blob.data).events]


def _is_temporary(error: RPCError) -> bool:
    from temporalio.service import RPCStatusCode as Code

    return error.status in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.RESOURCE_EXHAUSTED)


def _build_description(found: DescribeWorkflowExecutionResponse) -> RunDescription:
    from temporalio.api.enums.v1 import WorkflowExecutionStatus

    info = found.workflow_execution_info
    name = WorkflowExecutionStatus.Name(info.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    return RunDescription(
        run_id=info.execution.run_id,
        status=_STATUS.get(info.status, name.capitalize()),
        events=info.history_length,
        reset_run_id=found.workflow_extended_info.reset_run_id or None,
        closed_at=info.close_time.ToDatetime() if info.HasField("close_time") else None,
        points=tuple(_build_server_point(one) for one in info.auto_reset_points.points),
    )


def _build_server_point(found: ResetPointInfo) -> ServerPoint:
    expires = found.expire_time.ToJsonString() if found.HasField("expire_time") else None
    build = found.build_id or found.binary_checksum
    return ServerPoint(build, found.run_id, found.first_workflow_task_completed_id, found.resettable, expires)


def _build_poller(task_queue: str, found: PollerInfo) -> Poller:
    build = found.deployment_options.build_id or found.worker_version_capabilities.build_id
    return Poller(task_queue, found.identity, build, found.last_access_time.ToDatetime())


def _build_run_row(run: Run, workflow_id: str, run_id: str) -> dict[str, object]:
    names = (
        "engine",
        "workflow_type",
        "task_queue",
        "status",
        "first_run_id",
        "continued_run_id",
        "parent_workflow_id",
    )
    row = {name: getattr(run, name) for name in names}
    return row | {"run_key": run_id, "workflow_id": workflow_id, "run_id": run_id, "namespace": run.namespace}
