"""Many runs at once, each as far from the others as processes go: what a run breaks, it breaks for itself alone.

A child loads the code once and does its job, replaying for one, with one run after the other. One that ends, hangs or
grows too big costs the answer about the run that it was at, and is replaced.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from queue import Empty, SimpleQueue
from typing import IO, Any, Generic, TypeVar

from replaytool.errors import FAULT, ReplaytoolError
from replaytool.history import Run
from replaytool.replay import CodeSpec, Options
from replaytool.replay.jobs import REPLAY, Job
from replaytool.replay.worker import Ready, Request, Setup, receive, send
from replaytool.verdict import CodeInfo, Verdict

T = TypeVar("T")
_MEGABYTE = 1024 * 1024
_LOADING = 120.0
_TAIL = 400


@dataclass(frozen=True, slots=True)
class Work:
    """One run to do the job with. Its history is fetched when its turn comes."""

    key: str
    run: Run
    """Without events: they come as bytes."""
    size: int
    history: Callable[[], bytes]
    argument: dict[str, Any] = field(default_factory=dict)
    """What the job needs to know for this run."""


def work_of(key: str, run: Run) -> Work:
    """A run that is in memory already."""
    from replaytool.replay.temporal.record import to_bytes

    return Work(key, replace(run, events=()), run.history_bytes, lambda: to_bytes(run))


@dataclass(frozen=True, slots=True)
class Limits:
    """What the children may take."""

    jobs: int = 0
    """Children at once; 0 is one for each processor."""
    timeout: float = 60.0
    """Seconds for one run."""
    megabytes: int = 1024
    """What the code of a run may take; 0 is no bound."""
    hash_seed: str = "0"
    """The order of sets is the same each time one asks, so that a report can be compared with the last one."""
    clock_ahead: float = 0.0
    """Seconds by which the code's wall clock is set off."""


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
    setup = Setup(
        spec,
        job.name,
        _plain(options or Options()),
        argument or {},
        memory=limits.megabytes * _MEGABYTE,
        clock_ahead=limits.clock_ahead,
    )
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


def code_info(spec: CodeSpec) -> CodeInfo:
    """Which code this is, asked of a child: what loading it does to a process is not done to this one."""
    state = _State(REPLAY, Setup(spec, REPLAY.name), Limits(), deque(), SimpleQueue())
    _Child(state).end()
    answer = state.answers.get_nowait()
    assert isinstance(answer, CodeInfo)
    return answer


class Replayer:
    """One child that stays, for those who have one run after the other and cannot wait for a new child each time."""

    def __init__(self, spec: CodeSpec, options: Options | None = None, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        argument = {"engine": "auto"}
        setup = Setup(spec, REPLAY.name, _plain(options or Options()), argument, limits.megabytes * _MEGABYTE)
        self._state = _State(REPLAY, setup, limits, deque(), SimpleQueue())
        self._child: _Child | None = None

    def replay(self, work: Work) -> Verdict:
        """The verdict; raises ReplaytoolError where the code cannot be loaded."""
        if self._child is None or not self._child.alive:
            self.close()
            self._child = _Child(self._state)
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
    child: _Child | None = None
    try:
        while (work := state.next()) is not None:
            child = child if child is not None and child.alive else _Child(state)
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


class _Child:
    """One child process."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.late = False
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, "PYTHONHASHSEED": state.limits.hash_seed, **_ALLOCATOR},
        )
        self._load()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def _load(self) -> None:
        answer = self._ask(self.state.setup, b"", Ready, _LOADING)
        if answer is None:
            raise ReplaytoolError(
                f"the workflow code cannot be loaded: its process {self._end_in_words()}",
                "import it in a Python of its own to see why",
            )
        if answer.error:
            raise ReplaytoolError(answer.error, answer.hint, answer.exit_code)
        self.state.answers.put(answer.code)

    def do(self, work: Work) -> Any:
        """The job's answer; the one for a crash where the child did not live to tell."""
        began = time.monotonic()
        job = self.state.job
        answer = self._ask(Request(work.run, work.argument), work.history(), job.answer, self.state.limits.timeout)
        if answer is None:
            return job.crashed(f"the replay's process {self._end_in_words()}", time.monotonic() - began)
        if job.is_shaky(answer):
            self._let_go()
        return answer

    def _let_go(self) -> None:
        """After such an answer a child may have gone by itself, and the next run must not find that out."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)

    def _ask(self, value: Any, history: bytes, kind: type[Any], seconds: float) -> Any:
        killer = threading.Thread(target=self._watch, args=(time.monotonic() + seconds, done := threading.Event()))
        killer.start()
        try:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            send(self.process.stdin, value, history)
            return receive(self.process.stdout, kind)[0]
        except (EOFError, OSError):
            return None
        finally:
            done.set()
            killer.join()

    def _watch(self, until: float, done: threading.Event) -> None:
        while not done.wait(0.1):
            if time.monotonic() > until or self.state.stopped.is_set():
                self.late = not self.state.stopped.is_set()
                self.process.kill()
                return

    def _end_in_words(self) -> str:
        code = self.process.wait()
        if self.late:
            return f"was ended after {self.state.limits.timeout:g} seconds without an answer"
        words = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended by itself with exit code {code}"
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - _TAIL))
        last = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        return f"{words}: {last[0]}" if code < 0 and last else words

    def end(self) -> None:
        """Ask it to go, and make it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


# Else each thread reserves address space that it never uses, and the memory bound is about address space.
_ALLOCATOR = {"MALLOC_ARENA_MAX": "1"}

# The child imports from where this process does, however that came about.
_START = "import sys; sys.path[:] = sys.argv[1:]; from replaytool.replay.worker import main; main()"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
