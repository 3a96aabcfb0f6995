"""Histories from a running Temporal server, streamed: never more of them in memory than are being fetched."""

from __future__ import annotations

import asyncio
import functools
import io
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from replaytool.engines.temporal.server.client import CALL_TIMEOUT, connected, explained, is_namespace_unknown
from replaytool.engines.temporal.server.options import ServerOptions, Target, resolve
from replaytool.engines.temporal.server.temporal_query import visibility_query
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Hints
from replaytool.sources.base import Source, Unavailable
from replaytool.text import visible

if TYPE_CHECKING:
    from temporalio.api.workflow.v1 import WorkflowExecutionInfo
    from temporalio.client import Client
    from temporalio.service import RPCError

Known = Callable[[str, str], int | None]
"""How many events of a run (workflow id, run id) are in the store already."""

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What to take from which server."""

    server: ServerOptions = field(default_factory=ServerOptions)
    query: str = ""
    since: str | None = None
    """2h, 3d, or an ISO 8601 time: runs that started or closed since."""
    limit: int | None = None
    """At most so many runs of those that the query lists, whether they are fetched or known."""
    workflow_ids: tuple[str, ...] = ()
    """Instead of a query: the latest run of each, as the official CLI takes it."""
    run_id: str | None = None
    concurrency: int = 10
    only_new: bool = True


@dataclass(slots=True)
class Tally:
    """What a pull has done so far; it changes while the pull runs, for a progress bar to look at."""

    listed: int = 0
    fetched: int = 0
    unchanged: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class _Listed:
    workflow_id: str
    run_id: str = ""
    closed_length: int = 0
    """The number of events, where it is final; 0 where only the server's own state knows it."""


class _RunFailed(Exception):
    """One run cannot be had; the others can."""


def pull(options: PullOptions, known: Known | None = None, tally: Tally | None = None) -> Iterator[Source]:
    """The histories that the options name, in the order of the server's list, each as a source.

    A run that cannot be had is a source too, whose `open()` says why. The event loop runs only while the
    caller waits for the next source, in the caller's thread: closing the iterator, or Ctrl-C, ends all.
    """
    _check(options)
    return _pulled(options, known or (lambda workflow_id, run_id: None), tally or Tally())


def _check(options: PullOptions) -> None:
    if options.run_id and len(options.workflow_ids) != 1:
        raise ReplaytoolError("a run id belongs to one workflow id", "give --workflow-id once beside --run-id")
    if options.workflow_ids and (options.query or options.since):
        raise ReplaytoolError(
            "workflow ids and a query exclude each other", "a query can say it: WorkflowId IN ('a', 'b')"
        )
    if options.concurrency < 1 or (options.limit is not None and options.limit < 1):
        raise ReplaytoolError("--concurrency and --limit count from 1", "leave --limit out to take all")
    visibility_query(options.query, options.since)


def _pulled(options: PullOptions, known: Known, tally: Tally) -> Iterator[Source]:
    with asyncio.Runner() as runner:
        sources = _sources(options, known, tally)
        try:
            while (source := runner.run(_next(sources))) is not None:
                yield source
        except BaseException:
            runner.run(_abandoned(sources))
            raise


async def _abandoned(sources: AsyncGenerator[Source, None]) -> None:
    await sources.aclose()
    # Calls that were cancelled end in threads of the SDK, which panic aloud if Python is gone by then.
    await asyncio.sleep(0.05)


async def _next(sources: AsyncIterator[Source]) -> Source | None:
    return await anext(sources, None)


async def _sources(options: PullOptions, known: Known, tally: Tally) -> AsyncGenerator[Source, None]:
    target = resolve(options.server)
    puller = _Puller(await connected(target), target, known if options.only_new else None, tally)
    window: deque[asyncio.Task[Source | None]] = deque()
    try:
        async for run in puller.listed(options):
            window.append(asyncio.create_task(puller.source(run)))
            await asyncio.sleep(0)  # so that it is under way before the caller gets its turn
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
    target: Target
    known: Known | None
    tally: Tally

    async def listed(self, options: PullOptions) -> AsyncIterator[_Listed]:
        """The runs that are meant, each of them once."""
        seen: set[str] = set()
        async for run in self._named(options) if options.workflow_ids else self._found(options):
            # The list is ordered by closing time: a run that closes meanwhile moves, and shows twice.
            if run.run_id and run.run_id in seen:
                continue
            seen.add(run.run_id)
            self.tally.listed += 1
            yield run
            if self.tally.listed == options.limit:
                return

    async def _named(self, options: PullOptions) -> AsyncIterator[_Listed]:
        for workflow_id in dict.fromkeys(options.workflow_ids):
            yield _Listed(workflow_id, options.run_id or "")

    async def _found(self, options: PullOptions) -> AsyncIterator[_Listed]:
        from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest

        request = ListWorkflowExecutionsRequest(
            namespace=self.target.namespace,
            page_size=min(_PAGE, options.limit or _PAGE),
            query=visibility_query(options.query, options.since),
        )
        while True:
            page = await self._listed_page(request)
            for info in page.executions:
                yield _listed(info)
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token

    async def _listed_page(self, request: Any) -> Any:
        from temporalio.service import RPCError, RPCStatusCode

        try:
            return await self._call(self.client.workflow_service.list_workflow_executions, request)
        except RPCError as error:
            if error.status != RPCStatusCode.INVALID_ARGUMENT:
                raise explained(self.target, error) from error
            raise ReplaytoolError(
                f"the Temporal server does not accept the query: {self.target.redacted(error.message)}",
                f"the whole query was: {visible(request.query)}",
            ) from error

    async def _call(self, method: Any, request: Any) -> Any:
        return await method(request, retry=True, timeout=CALL_TIMEOUT)

    async def source(self, run: _Listed) -> Source | None:
        """The run's history; none if the store has all of it."""
        from temporalio.service import RPCError

        try:
            run_id, unchanged = await self._current(run)
            if unchanged:
                self.tally.unchanged += 1
                return None
            source = self._fetched(run.workflow_id, run_id, await self._history(run.workflow_id, run_id))
        except RPCError as error:
            if _is_about_all(error):
                raise explained(self.target, error) from error
            return self._failed(run, self.target.redacted(error.message))
        except _RunFailed as error:
            return self._failed(run, str(error))
        self.tally.fetched += 1
        return source

    async def _current(self, run: _Listed) -> tuple[str, bool]:
        """The run's id, and whether the store has as many events as the server."""
        stored = self.known(run.workflow_id, run.run_id) if self.known and run.run_id else None
        if run.run_id and (stored is None or run.closed_length):
            return run.run_id, stored is not None and stored == run.closed_length
        info = await self._described(run)
        run_id: str = info.execution.run_id
        if self.known and not run.run_id:
            stored = self.known(run.workflow_id, run_id)
        return run_id, stored is not None and stored == info.history_length

    async def _described(self, run: _Listed) -> WorkflowExecutionInfo:
        from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest

        request = DescribeWorkflowExecutionRequest(namespace=self.target.namespace)
        request.execution.workflow_id, request.execution.run_id = run.workflow_id, run.run_id
        described = await self._call(self.client.workflow_service.describe_workflow_execution, request)
        info: WorkflowExecutionInfo = described.workflow_execution_info
        return info

    async def _history(self, workflow_id: str, run_id: str) -> bytes:
        from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest

        request = GetWorkflowExecutionHistoryRequest(namespace=self.target.namespace, maximum_page_size=_PAGE)
        request.execution.workflow_id, request.execution.run_id = workflow_id, run_id
        pages: list[bytes] = []
        while True:
            page = await self._call(self.client.workflow_service.get_workflow_execution_history, request)
            # Histories written one after the other are one history with all their events.
            pages += [page.history.SerializeToString(), *_raw(page)]
            if not page.next_page_token:
                break
            request.next_page_token = page.next_page_token
        return b"".join(pages) or _nothing()

    def _fetched(self, workflow_id: str, run_id: str, history: bytes) -> Source:
        name = self._name(workflow_id, run_id)
        hints = Hints(name, self.target.namespace, workflow_id, run_id, is_certain=True)
        return Source(name, functools.partial(io.BytesIO, history), hints)

    def _failed(self, run: _Listed, reason: str) -> Source:
        self.tally.failed += 1
        name = self._name(run.workflow_id, run.run_id)
        hints = Hints(name, self.target.namespace, run.workflow_id, run.run_id or None, is_certain=True)
        return Source(name, functools.partial(_refused, reason), hints)

    def _name(self, workflow_id: str, run_id: str) -> str:
        return f"temporal://{self.target.namespace}/{workflow_id}" + (f"/{run_id}" if run_id else "")


def _listed(info: WorkflowExecutionInfo) -> _Listed:
    # Not by status: an open run can be running or paused, and servers may learn more of these.
    length = info.history_length if info.HasField("close_time") else 0
    return _Listed(info.execution.workflow_id, info.execution.run_id, length)


def _raw(page: Any) -> Iterator[bytes]:
    """Some servers are set to send histories as they are stored, which saves them work."""
    from temporalio.api.enums.v1 import EncodingType

    for blob in page.raw_history:
        if blob.encoding_type != EncodingType.ENCODING_TYPE_PROTO3:
            raise _RunFailed(f"the server sends the history in an encoding that is not known: {blob.encoding_type}")
        yield blob.data


def _nothing() -> bytes:
    raise _RunFailed("the server has no events of this run")


def _is_about_all(error: RPCError) -> bool:
    """Whether the next run would fail as well."""
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


def _refused(reason: str) -> BinaryIO:
    raise Unavailable(reason, "check the id; the server forgets a run that was deleted or is past its retention")
