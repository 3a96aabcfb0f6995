"""A pool of worker processes: each loads the code once and does its job with one run after the other.

A worker that dies, hangs or grows too big costs only the answer about its current run, and is replaced.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from replaytool.engines import CodeSpec, Options
from replaytool.errors import FAULT, ErrorCode, ReplaytoolError
from replaytool.model.history import Run, encode_history
from replaytool.model.verdict import CodeInfo, Verdict
from replaytool.replay.jobs import WorkerJob
from replaytool.workers.replay_job import REPLAY
from replaytool.workers.worker_main import WorkerSetup
from replaytool.workers.worker_process import WorkerLimits, WorkerProcess, WorkItem

__all__ = [
    "JobAnswers",
    "ReplayOutcome",
    "SingleReplayer",
    "WorkItem",
    "WorkerLimits",
    "replay_all_runs",
    "run_job",
    "start_worker_ahead",
    "work_from_run",
]

T = TypeVar("T")
_MEGABYTE = 1024 * 1024


def work_from_run(key: str, run: Run) -> WorkItem:
    """Return a work item for a run in memory."""
    return WorkItem(key, replace(run, events=()), run.history_bytes, lambda: encode_history(run))


@dataclass
class ReplayOutcome:
    """Verdicts of a replay of many runs."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By key, in the order of the work items."""
    code: CodeInfo = field(default_factory=CodeInfo)
    complete: bool = True
    """False after Ctrl-C."""


@dataclass
class JobAnswers(Generic[T]):
    """Answers of the workers."""

    found: dict[str, T] = field(default_factory=dict)
    """By key, in the order of the work items."""
    code: CodeInfo = field(default_factory=CodeInfo)
    complete: bool = True
    """False after Ctrl-C."""


@dataclass
class _PoolState(Generic[T]):
    """What the threads of a pool share."""

    job: WorkerJob[T]
    setup: WorkerSetup
    limits: WorkerLimits
    waiting: deque[WorkItem]
    answers: SimpleQueue[tuple[str, T] | ReplaytoolError | CodeInfo | None]
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_item(self) -> WorkItem | None:
        with self.lock:
            return self.waiting.popleft() if self.waiting and not self.stopped.is_set() else None


def replay_all_runs(
    works: Iterable[WorkItem],
    spec: CodeSpec,
    options: Options | None = None,
    limits: WorkerLimits | None = None,
    engine: str = "auto",
    progress: Callable[[str, Verdict], None] | None = None,
    stop: threading.Event | None = None,
) -> ReplayOutcome:
    """Replay all runs, the longest first; raise ReplaytoolError if the code cannot be loaded."""
    done = run_job(REPLAY, works, spec, options, limits, {"engine": engine}, progress, stop)
    return ReplayOutcome(done.found, done.code, done.complete)


def run_job(
    job: WorkerJob[T],
    works: Iterable[WorkItem],
    spec: CodeSpec,
    options: Options | None = None,
    limits: WorkerLimits | None = None,
    argument: dict[str, object] | None = None,
    progress: Callable[[str, T], None] | None = None,
    stop: threading.Event | None = None,
) -> JobAnswers[T]:
    """Do a job with all runs, the longest first; raise ReplaytoolError if the code cannot be loaded.

    Setting `stop` ends the running work; the caller gets the answers so far.
    """
    limits = limits or WorkerLimits()
    listed = list(works)
    order = sorted(listed, key=lambda work: -work.size)
    setup = _worker_setup(job, spec, options, limits, argument)
    state = _PoolState(job, setup, limits, deque(order), SimpleQueue(), stop or threading.Event())
    jobs = max(1, min(limits.jobs or os.cpu_count() or 1, len(listed)))
    threads = [threading.Thread(target=_serve_worker, args=(state,), daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    done: JobAnswers[T] = JobAnswers()
    try:
        _gather_answers(state, done, jobs, progress)
        done.complete = not state.stopped.is_set() or len(done.found) == len(listed)
    except KeyboardInterrupt:
        done.complete = False
    finally:
        state.stopped.set()
        for thread in threads:
            thread.join(5)
    return replace(done, found={work.key: done.found[work.key] for work in listed if work.key in done.found})


def _worker_setup(
    job: WorkerJob[T], spec: CodeSpec, options: Options | None, limits: WorkerLimits, argument: dict[str, object] | None
) -> WorkerSetup:
    return WorkerSetup(
        spec,
        job.name,
        _plain_options(options or Options()),
        argument or {},
        memory=limits.megabytes * _MEGABYTE,
        clock_ahead=limits.clock_ahead,
    )


_ahead: list[WorkerProcess[Any]] = []
_ahead_lock = threading.Lock()


@contextmanager
def start_worker_ahead(
    spec: CodeSpec, options: Options | None = None, limits: WorkerLimits | None = None, engine: str = "auto"
) -> Iterator[WorkerProcess[Verdict]]:
    """Start a worker that loads the code while this process is busy; the first pool that fits takes it.

    Only the worker imports the user's code, so the caller asks it which code it is.
    """
    limits = limits or WorkerLimits()
    setup = _worker_setup(REPLAY, spec, options, limits, {"engine": engine})
    child = WorkerProcess(REPLAY, setup, limits, threading.Event())
    with _ahead_lock:
        _ahead.append(child)
    try:
        yield child
    finally:
        with _ahead_lock:
            is_left = child in _ahead
            if is_left:
                _ahead.remove(child)
        if is_left:
            child.end_process(patience=0)


def _take_worker(state: _PoolState[T]) -> WorkerProcess[T]:
    """Return a worker that was started ahead for this job, or a new one."""
    with _ahead_lock:
        for child in _ahead:
            if child.can_serve(state.job, state.setup, state.limits):
                _ahead.remove(child)
                child.stopped, child.limits = state.stopped, state.limits
                return child
    return WorkerProcess(state.job, state.setup, state.limits, state.stopped)


def load_code_info(spec: CodeSpec, argument: dict[str, object] | None = None) -> CodeInfo:
    """Load the code in a worker and return what it is; `argument` may ask for more details."""
    limits = WorkerLimits()
    child = WorkerProcess(REPLAY, _worker_setup(REPLAY, spec, None, limits, argument), limits, threading.Event())
    try:
        return child.loaded_code()
    finally:
        child.end_process(patience=0)


class SingleReplayer:
    """One worker that stays, for callers that have one run after the other."""

    def __init__(self, spec: CodeSpec, options: Options | None = None, limits: WorkerLimits | None = None) -> None:
        self._limits = limits or WorkerLimits()
        self._setup = _worker_setup(REPLAY, spec, options, self._limits, {"engine": "auto"})
        self._child: WorkerProcess[Verdict] | None = None

    def replay_run(self, work: WorkItem) -> Verdict:
        """Return the verdict; raise ReplaytoolError if the code cannot be loaded."""
        if self._child is None or not self._child.is_alive:
            self.close_worker()
            self._child = WorkerProcess(REPLAY, self._setup, self._limits, threading.Event())
        return self._child.run_work(work)

    def close_worker(self) -> None:
        """End the worker."""
        if self._child is not None:
            self._child.end_process()
            self._child = None


def _plain_options(options: Options) -> dict[str, object]:
    """Return the options without `snapshot`, which only this process can call."""
    return {one.name: getattr(options, one.name) for one in fields(options) if one.name != "snapshot"}


def _gather_answers(
    state: _PoolState[T], done: JobAnswers[T], jobs: int, progress: Callable[[str, T], None] | None
) -> None:
    while jobs:
        try:
            # Ctrl-C cannot interrupt a wait without a timeout on every platform.
            answer = state.answers.get(timeout=0.5)
        except Empty:
            continue
        if answer is None:
            jobs -= 1
        elif isinstance(answer, ReplaytoolError):
            raise answer
        elif isinstance(answer, CodeInfo):
            done.code = answer
        else:
            done.found[answer[0]] = answer[1]
            if progress:
                progress(*answer)


def _serve_worker(state: _PoolState[T]) -> None:
    """Serve one worker until no work is left; start another one if it dies."""
    child: WorkerProcess[T] | None = None
    try:
        while (work := state.next_item()) is not None:
            if child is None or not child.is_alive:
                child = _take_worker(state)
                state.answers.put(child.loaded_code())
            answer = child.run_work(work)
            # After a stop the answer says that the process was killed: it says nothing about the run.
            if not state.stopped.is_set():
                state.answers.put((work.key, answer))
    except ReplaytoolError as error:
        state.answers.put(error)
    except Exception as error:
        state.answers.put(
            ReplaytoolError(
                f"the pool failed: {type(error).__name__}: {error}", "", FAULT, code=ErrorCode.FAULT_INTERNAL
            )
        )
    finally:
        if child is not None:
            child.end_process()
        state.answers.put(None)
