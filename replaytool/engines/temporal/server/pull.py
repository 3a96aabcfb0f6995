"""Stream histories from a running Temporal server. Memory holds only the histories that are being fetched."""

from __future__ import annotations

import asyncio
import functools
import io
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from replaytool.engines.temporal.server.client import (
    call_with_retry,
    connect_client,
    explain_rpc_error,
    is_namespace_unknown,
    iterate_history_pages,
)
from replaytool.engines.temporal.server.options import resolve_target
from replaytool.engines.temporal.server.temporal_query import visibility_query
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import RunHints
from replaytool.model.pull_options import Known, PullOptions, PullProgress
from replaytool.model.server_options import ServerTarget
from replaytool.sources.base import HistorySource, SourceUnavailable
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from temporalio.api.workflow.v1 import WorkflowExecutionInfo
    from temporalio.api.workflowservice.v1 import (
        GetWorkflowExecutionHistoryResponse,
        ListWorkflowExecutionsRequest,
        ListWorkflowExecutionsResponse,
    )
    from temporalio.client import Client
    from temporalio.service import RPCError


_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _ListedRun:
    workflow_id: str
    run_id: str = ""
    closed_length: int = 0
    """The number of events if it is final, else 0: only the server knows it then."""


class _RunFailed(Exception):
    """One run cannot be fetched; the others can."""


def pull_histories(
    options: PullOptions, known: Known | None = None, tally: PullProgress | None = None
) -> Iterator[HistorySource]:
    """Yield the histories that the options name, in the order of the server's list, each as a source.

    A run that cannot be fetched is a source too: its `open()` raises the reason. The event loop runs in the caller's
    thread, and only while the caller waits for the next source. So closing the iterator, or Ctrl-C, ends everything.
    """
    _check_options(options)
    return _run_pull(options, known or (lambda workflow_id, run_id: None), tally or PullProgress())


def _check_options(options: PullOptions) -> None:
    if options.run_id and len(options.workflow_ids) != 1:
        raise ReplaytoolError(
            "--run-id needs exactly one workflow ID",
            "give --workflow-id once with --run-id",
            code=ErrorCode.USAGE_COMBINATION,
        )
    if options.workflow_ids and (options.query or options.since):
        raise ReplaytoolError(
            "workflow IDs and a query cannot be combined",
            "write a query alone: WorkflowId IN ('a', 'b')",
            code=ErrorCode.USAGE_COMBINATION,
        )
    if options.concurrency < 1 or (options.limit is not None and options.limit < 1):
        raise ReplaytoolError(
            "--concurrency and --limit must be at least 1",
            "leave --limit out to pull all runs",
            code=ErrorCode.USAGE_VALUE,
        )
    visibility_query(options.query, options.since)


def _run_pull(options: PullOptions, known: Known, tally: PullProgress) -> Iterator[HistorySource]:
    with asyncio.Runner() as runner:
        sources = _stream_sources(options, known, tally)
        try:
            while (source := runner.run(_next_source(sources))) is not None:
                yield source
        except BaseException:
            runner.run(_close_sources(sources))
            raise


async def _close_sources(sources: AsyncGenerator[HistorySource, None]) -> None:
    await sources.aclose()
    # Cancelled calls end in threads of the SDK. These panic on stderr if Python has exited by then.
    await asyncio.sleep(0.05)


async def _next_source(sources: AsyncIterator[HistorySource]) -> HistorySource | None:
    return await anext(sources, None)


async def _stream_sources(
    options: PullOptions, known: Known, tally: PullProgress
) -> AsyncGenerator[HistorySource, None]:
    target = resolve_target(options.server)
    puller = _Puller(await connect_client(target), target, known if options.only_new else None, tally)
    window: deque[asyncio.Task[HistorySource | None]] = deque()
    try:
        async for run in puller.list_runs(options):
            window.append(asyncio.create_task(puller.fetch_source(run)))
            await asyncio.sleep(0)  # so that the fetch starts before the caller continues
            if len(window) >= options.concurrency and (source := await window.popleft()):
                yield source
        while window:
            if source := await window.popleft():
                yield source
    finally:
        for task in window:
            task.cancel()
        await asyncio.gather(*window, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Puller:
    client: Client
    target: ServerTarget
    known: Known | None
    tally: PullProgress

    async def list_runs(self, options: PullOptions) -> AsyncIterator[_ListedRun]:
        """Yield each run that the options name once."""
        seen: set[str] = set()
        async for run in self._list_named_runs(options) if options.workflow_ids else self._list_found_runs(options):
            # The list is ordered by closing time: a run that closes meanwhile moves, and is listed twice.
            if run.run_id and run.run_id in seen:
                continue
            seen.add(run.run_id)
            self.tally.listed += 1
            yield run
            if self.tally.listed == options.limit:
                return

    async def _list_named_runs(self, options: PullOptions) -> AsyncIterator[_ListedRun]:
        for workflow_id in dict.fromkeys(options.workflow_ids):
            yield _ListedRun(workflow_id, options.run_id or "")

    async def _list_found_runs(self, options: PullOptions) -> AsyncIterator[_ListedRun]:
        from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest

        request = ListWorkflowExecutionsRequest(
            namespace=self.target.namespace,
            page_size=min(_PAGE, options.limit or _PAGE),
            query=visibility_query(options.query, options.since),
        )
        while True:
            page = await self._fetch_page(request)
            for info in page.executions:
                yield _build_listed_run(info)
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token

    async def _fetch_page(self, request: ListWorkflowExecutionsRequest) -> ListWorkflowExecutionsResponse:
        from temporalio.service import RPCError, RPCStatusCode

        try:
            return await call_with_retry(self.client.workflow_service.list_workflow_executions, request)
        except RPCError as error:
            if error.status != RPCStatusCode.INVALID_ARGUMENT:
                raise explain_rpc_error(self.target, error) from error
            raise ReplaytoolError(
                f"the Temporal server rejects the query: {self.target.redact_secrets(error.message)}",
                f"the whole query was: {escape_controls(request.query)}",
                code=ErrorCode.SERVER_QUERY,
            ) from error

    async def fetch_source(self, run: _ListedRun) -> HistorySource | None:
        """Return the run's history, or None if the store has all of it."""
        from temporalio.service import RPCError

        try:
            run_id, unchanged = await self._find_current_run(run)
            if unchanged:
                self.tally.unchanged += 1
                return None
            source = self._build_source(run.workflow_id, run_id, await self._fetch_history(run.workflow_id, run_id))
        except RPCError as error:
            if _concerns_all_runs(error):
                raise explain_rpc_error(self.target, error) from error
            return self._build_failed_source(run, self.target.redact_secrets(error.message))
        except _RunFailed as error:
            return self._build_failed_source(run, str(error))
        self.tally.fetched += 1
        return source

    async def _find_current_run(self, run: _ListedRun) -> tuple[str, bool]:
        """Return the run's ID, and whether the store has as many events as the server."""
        stored = self.known(run.workflow_id, run.run_id) if self.known and run.run_id else None
        # The list is older than the run as long as the run is open: only Describe knows its length now.
        if run.run_id and (stored is None or run.closed_length):
            return run.run_id, stored is not None and stored == run.closed_length
        info = await self._describe_run(run)
        run_id: str = info.execution.run_id
        if self.known and not run.run_id:
            stored = self.known(run.workflow_id, run_id)
        return run_id, stored is not None and stored == info.history_length

    async def _describe_run(self, run: _ListedRun) -> WorkflowExecutionInfo:
        from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest

        request = DescribeWorkflowExecutionRequest(namespace=self.target.namespace)
        request.execution.workflow_id, request.execution.run_id = run.workflow_id, run.run_id
        described = await call_with_retry(self.client.workflow_service.describe_workflow_execution, request)
        return described.workflow_execution_info

    async def _fetch_history(self, workflow_id: str, run_id: str) -> bytes:
        pages: list[bytes] = []
        async for page in iterate_history_pages(self.client, self.target.namespace, workflow_id, run_id):
            # Concatenated protobuf messages are one message: this joins the events of all pages.
            pages += [page.history.SerializeToString(), *_decode_raw_pages(page)]
        return b"".join(pages) or _raise_no_events()

    def _build_source(self, workflow_id: str, run_id: str, history: bytes) -> HistorySource:
        name = self._name_source(workflow_id, run_id)
        hints = RunHints(name, self.target.namespace, workflow_id, run_id, is_certain=True)
        return HistorySource(name, functools.partial(io.BytesIO, history), hints)

    def _build_failed_source(self, run: _ListedRun, reason: str) -> HistorySource:
        self.tally.failed += 1
        name = self._name_source(run.workflow_id, run.run_id)
        hints = RunHints(name, self.target.namespace, run.workflow_id, run.run_id or None, is_certain=True)
        return HistorySource(name, functools.partial(_raise_unavailable, reason), hints)

    def _name_source(self, workflow_id: str, run_id: str) -> str:
        return f"temporal://{self.target.namespace}/{workflow_id}" + (f"/{run_id}" if run_id else "")


def _build_listed_run(info: WorkflowExecutionInfo) -> _ListedRun:
    # Not by status: an open run can be running or paused, and later servers may add more.
    length = info.history_length if info.HasField("close_time") else 0
    return _ListedRun(info.execution.workflow_id, info.execution.run_id, length)


def _decode_raw_pages(page: GetWorkflowExecutionHistoryResponse) -> Iterator[bytes]:
    """Yield histories in their stored form: some servers are configured to send them so, to save work."""
    from temporalio.api.enums.v1 import EncodingType

    for blob in page.raw_history:
        if blob.encoding_type != EncodingType.ENCODING_TYPE_PROTO3:
            raise _RunFailed(f"the server sends the history in an unknown encoding: {blob.encoding_type}")
        yield blob.data


def _raise_no_events() -> bytes:
    raise _RunFailed("the server has no events of this run")


def _concerns_all_runs(error: RPCError) -> bool:
    """Return whether the error would hit the next run too."""
    from temporalio.service import RPCStatusCode

    one_run = {
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.DATA_LOSS,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
    return error.status not in one_run or is_namespace_unknown(error)


def _raise_unavailable(reason: str) -> BinaryIO:
    raise SourceUnavailable(
        reason, "check the ID; the server deletes runs after the retention period", code=ErrorCode.SERVER_RUN_MISSING
    )
