"""One child process of the pool: it is started, given one run after the other, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from replaytool.errors import ReplaytoolError
from replaytool.model.history import Run
from replaytool.model.verdict import CodeInfo
from replaytool.replay.jobs import Job
from replaytool.workers.dumps import place_in
from replaytool.workers.worker_main import TELL_PLACE, Ready, Request, Setup, receive, send

_LOADING = 120.0
_TELLING = 0.3
_TAIL = 16384
_LOOKS_EVERY = 0.1
_NEVER = float("inf")


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


class Child:
    """A process that has begun to load the code when this is made; the first one who asks waits for it."""

    def __init__(self, job: Job[Any], setup: Setup, limits: Limits, stopped: threading.Event) -> None:
        self.job, self.setup, self.limits, self.stopped = job, setup, limits, stopped
        self.late = False
        self._until = _NEVER
        self._ended = threading.Event()
        self._code: CodeInfo | None = None
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, "PYTHONHASHSEED": limits.hash_seed, **_ALLOCATOR},
        )
        self._begun = time.monotonic()
        threading.Thread(target=self._watch, daemon=True).start()
        self._send(setup, b"")

    @property
    def alive(self) -> bool:
        """Whether it can be asked anything."""
        return self.process.poll() is None

    def does(self, job: Job[Any], setup: Setup, limits: Limits) -> bool:
        """Whether it was made for exactly this."""
        return (self.job, self.setup, self.limits.hash_seed) == (job, setup, limits.hash_seed) and self.alive

    def code(self) -> CodeInfo:
        """Which code it has loaded; raises ReplaytoolError where it cannot."""
        if self._code is None:
            answer = self._answer(Ready, self._begun + _LOADING)
            if answer is None:
                raise ReplaytoolError(
                    f"the workflow code cannot be loaded: its process {self._end_in_words()}",
                    "import it in a Python of its own to see why",
                )
            if answer.error:
                raise ReplaytoolError(answer.error, answer.hint, answer.exit_code)
            self._code = answer.code
        return self._code

    def do(self, work: Work) -> Any:
        """The job's answer; the one for a crash where the child did not live to tell."""
        self.code()
        began = time.monotonic()
        self._send(Request(work.run, work.argument), work.history())
        answer = self._answer(self.job.answer, began + self.limits.timeout)
        if answer is None:
            return self.job.crashed(f"the replay's process {self._end_in_words()}", time.monotonic() - began)
        if self.job.is_shaky(answer):
            self._let_go()
        return answer

    def _let_go(self) -> None:
        """After such an answer a child may have gone by itself, and the next run must not find that out."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)

    def _send(self, value: Any, history: bytes) -> None:
        """What cannot be sent is not answered either."""
        assert self.process.stdin is not None
        with suppress(OSError):
            send(self.process.stdin, value, history)

    def _answer(self, kind: type[Any], until: float) -> Any:
        assert self.process.stdout is not None
        self._until = until
        try:
            return receive(self.process.stdout, kind)[0]
        except (EOFError, OSError):
            return None
        finally:
            self._until = _NEVER

    def _watch(self) -> None:
        while not self._ended.wait(_LOOKS_EVERY):
            if self._until != _NEVER and (time.monotonic() > self._until or self.stopped.is_set()):
                self.late = not self.stopped.is_set()
                if self.late:
                    self.process.send_signal(TELL_PLACE)
                    self._ended.wait(_TELLING)
                self.process.kill()
                return

    def _end_in_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - _TAIL))
        said = self.errors.read().decode("utf-8", "replace")
        place = f", at {found}" if (found := place_in(said)) else ""
        if self.late:
            return f"was ended after {self.limits.timeout:g} seconds without an answer{place}"
        if "MemoryError" in said:
            return f"ran out of memory{place}"
        if code >= 0:
            return f"ended by itself with exit code {code}"
        fatal = next((f": {line}" for line in said.splitlines() if line.startswith("Fatal Python error")), "")
        return f"was killed by {_signal_name(-code)}{place}{fatal}"

    def end(self, patience: float = 1.0) -> None:
        """Ask it to go, and make it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._ended.set()
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


# Else each thread reserves address space that it never uses, and the memory bound is about address space.
_ALLOCATOR = {"MALLOC_ARENA_MAX": "1"}

# The child imports from where this process does, however that came about.
_START = "import sys; sys.path[:] = sys.argv[1:]; from replaytool.workers.worker_main import main; main()"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
