"""Many runs at once, each as far from the others as processes go: what a run breaks, it breaks for itself alone.

A child loads the code once and does its job, replaying for one, with one run after the other. One that ends, hangs or
grows too big costs the answer about the run that it was at, and is replaced.
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
from replaytool.errors import FAULT, ReplaytoolError
from replaytool.model.history import Run
from replaytool.model.verdict import CodeInfo, Verdict
from replaytool.replay.jobs import Job
from replaytool.workers.replay_job import REPLAY
from replaytool.workers.worker_main import Setup
from replaytool.workers.worker_process import Child, Limits, Work

__all__ = ["Answers", "Limits", "Outcome", "Replayer", "Work", "do_all", "replay_all", "started_ahead", "work_of"]

T = TypeVar("T")
_MEGABYTE = 1024 * 1024


def work_of(key: str, run: Run) -> Work:
    """A run that is in memory already."""
    from replaytool.engines.temporal.replay.recorded_commands import to_bytes

    return Work(key, replace(run, events=()), run.history_bytes, lambda: to_bytes(run))


@dataclass
class Outcome:
    """What is known in the end."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By key, in the order of the works."""
    code: CodeInfo = field(default_factory=CodeInfo)
    complete: bool = True
    """False after Ctrl-C."""


@dataclass
class Answers(Generic[T]):
    """What the children said."""

    found: dict[str, T] = field(default_factory=dict)
    """By key, in the order of the works."""
    code: CodeInfo = field(default_factory=CodeInfo)
    complete: bool = True
    """False after Ctrl-C."""


@dataclass
class _State:
    """What the threads share."""

    job: Job[Any]
    setup: Setup
    limits: Limits
    waiting: deque[Work]
    answers: SimpleQueue[tuple[str, Any] | ReplaytoolError | CodeInfo | None]
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> Work | None:
        with self.lock:
            return self.waiting.popleft() if self.waiting and not self.stopped.is_set() else None


def replay_all(
    works: Iterable[Work],
    spec: CodeSpec,
    options: Options | None = None,
    limits: Limits | None = None,
    engine: str = "auto",
    progress: Callable[[str, Verdict], None] | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Replay all of them, the longest first; raises ReplaytoolError where the code cannot be loaded."""
    done = do_all(REPLAY, works, spec, options, limits, {"engine": engine}, progress, stop)
    return Outcome(done.found, done.code, done.complete)


def do_all(
    job: Job[T],
    works: Iterable[Work],
    spec: CodeSpec,
    options: Options | None = None,
    limits: Limits | None = None,
    argument: dict[str, Any] | None = None,
    progress: Callable[[str, T], None] | None = None,
    stop: threading.Event | None = None,
) -> Answers[T]:
    """Do a job with all of them, the longest first; raises ReplaytoolError where the code cannot be loaded.

    Whoever sets `stop` gets what is known by then; what is under way is ended.
    """
    limits = limits or Limits()
    listed = list(works)
    order = sorted(listed, key=lambda work: -work.size)
    setup = _setup(job, spec, options, limits, argument)
    state = _State(job, setup, limits, deque(order), SimpleQueue(), stop or threading.Event())
    jobs = max(1, min(limits.jobs or os.cpu_count() or 1, len(listed)))
    threads = [threading.Thread(target=_tend, args=(state,), daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    done: Answers[T] = Answers()
    try:
        _gather(state, done, jobs, progress)
        done.complete = not state.stopped.is_set() or len(done.found) == len(listed)
    except KeyboardInterrupt:
        done.complete = False
    finally:
        state.stopped.set()
        for thread in threads:
            thread.join(5)
    return replace(done, found={work.key: done.found[work.key] for work in listed if work.key in done.found})


def _setup(
    job: Job[Any], spec: CodeSpec, options: Options | None, limits: Limits, argument: dict[str, Any] | None
) -> Setup:
    return Setup(
        spec,
        job.name,
        _plain(options or Options()),
        argument or {},
        memory=limits.megabytes * _MEGABYTE,
        clock_ahead=limits.clock_ahead,
    )


_ahead: list[Child] = []
_ahead_lock = threading.Lock()


@contextmanager
def started_ahead(
    spec: CodeSpec, options: Options | None = None, limits: Limits | None = None, engine: str = "auto"
) -> Iterator[Child]:
    """A child that loads the code while this process does something else; the first pool that wants such a one has it.

    What loading the code does to a process is not done to this one: so it is asked, too, which code it is.
    """
    limits = limits or Limits()
    setup = _setup(REPLAY, spec, options, limits, {"engine": engine})
    child = Child(REPLAY, setup, limits, threading.Event())
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
            child.end(patience=0)


def _child(state: _State) -> Child:
    """One that was started ahead for this, or a new one."""
    with _ahead_lock:
        for child in _ahead:
            if child.does(state.job, state.setup, state.limits):
                _ahead.remove(child)
                child.stopped, child.limits = state.stopped, state.limits
                return child
    return Child(state.job, state.setup, state.limits, state.stopped)


def code_info(spec: CodeSpec, argument: dict[str, Any] | None = None) -> CodeInfo:
    """Which code this is; an argument may ask for more about it."""
    limits = Limits()
    child = Child(REPLAY, _setup(REPLAY, spec, None, limits, argument), limits, threading.Event())
    try:
        return child.code()
    finally:
        child.end(patience=0)


class Replayer:
    """One child that stays, for those who have one run after the other and cannot wait for a new child each time."""

    def __init__(self, spec: CodeSpec, options: Options | None = None, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._setup = _setup(REPLAY, spec, options, self._limits, {"engine": "auto"})
        self._child: Child | None = None

    def replay(self, work: Work) -> Verdict:
        """The verdict; raises ReplaytoolError where the code cannot be loaded."""
        if self._child is None or not self._child.alive:
            self.close()
            self._child = Child(REPLAY, self._setup, self._limits, threading.Event())
        verdict: Verdict = self._child.do(work)
        return verdict

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.end()
            self._child = None


def _plain(options: Options) -> dict[str, Any]:
    """The options without what only this process can call."""
    return {one.name: getattr(options, one.name) for one in fields(options) if one.name != "snapshot"}


def _gather(state: _State, done: Answers[T], jobs: int, progress: Callable[[str, T], None] | None) -> None:
    while jobs:
        try:
            # A wait without end cannot be interrupted everywhere.
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


def _tend(state: _State) -> None:
    """One thread and its child, and the next child when that one is gone."""
    child: Child | None = None
    try:
        while (work := state.next()) is not None:
            if child is None or not child.alive:
                child = _child(state)
                state.answers.put(child.code())
            answer = child.do(work)
            if not state.stopped.is_set():
                state.answers.put((work.key, answer))
    except ReplaytoolError as error:
        state.answers.put(error)
    except Exception as error:
        state.answers.put(ReplaytoolError(f"the pool failed: {type(error).__name__}: {error}", "", FAULT))
    finally:
        if child is not None:
            child.end()
        state.answers.put(None)
