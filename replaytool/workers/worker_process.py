"""The parent's side of one worker process: start it, give it runs, end it, and say where it ended."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Generic, TypeVar

from replaytool.errors import ErrorCode, ReplaytoolError, find_error_code
from replaytool.model.history import Run
from replaytool.model.verdict import CodeInfo
from replaytool.replay.jobs import WorkerJob
from replaytool.workers.answer_pipe import AnswerPipe
from replaytool.workers.start_process import start_python
from replaytool.workers.worker_main import (
    TELL_PLACE,
    CodeLoaded,
    RunRequest,
    WorkerSetup,
    send_message,
)

_WINDING_UP = 3.0
_TELLING = 0.3
_TAIL = 16384
_LOOKS_EVERY = 0.1
_NEVER = float("inf")
_FRAME = re.compile(r'^ +File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_FOREIGN = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")}
    | {str(Path(__file__).resolve().parents[1]) + os.sep, "<"}
)


A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One run to do a job with. Its history is read when its turn comes."""

    key: str
    run: Run
    """Without events: they are sent as bytes."""
    size: int
    history: Callable[[], bytes]
    argument: dict[str, object] = field(default_factory=dict)
    """What the job needs for this run."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What the workers may use."""

    jobs: int = 0
    """Workers at once; 0 is one per processor."""
    timeout: float = 60.0
    """Seconds for one run."""
    megabytes: int = 1024
    """Memory that the code of a run may use; 0 is no limit."""
    hash_seed: str = "0"
    """Fixed, so that sets have the same order in each check and reports can be compared."""
    clock_ahead: float = 0.0
    """Seconds by which the wall clock is shifted."""


class WorkerProcess(Generic[T]):
    """A process that starts loading the code at once; the first question waits for it."""

    def __init__(self, job: WorkerJob[T], setup: WorkerSetup, limits: WorkerLimits, stopped: threading.Event) -> None:
        self.job, self.setup, self.limits, self.stopped = job, setup, limits, stopped
        self.late = False
        self._until = _NEVER
        self._ended = threading.Event()
        self._code: CodeInfo | None = None
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self.process = start_python("replaytool.workers.worker_main:run_worker", self.errors, limits.hash_seed)
        self._answers = AnswerPipe(self.process)
        threading.Thread(target=self._watch_deadline, daemon=True).start()
        self._send_message(setup, b"")

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def can_serve(self, job: object, setup: WorkerSetup, limits: WorkerLimits) -> bool:
        """Return whether it was started for exactly this job and code."""
        return (self.job, self.setup, self.limits.hash_seed) == (job, setup, limits.hash_seed) and self.is_alive

    def loaded_code(self) -> CodeInfo:
        """Return which code it has loaded; raise ReplaytoolError if it cannot load it."""
        if self._code is None:
            allowance = self.process.wait_for_start()
            answer = self._receive_answer(CodeLoaded, time.monotonic() + allowance + self.limits.timeout)
            if answer is None:
                raise ReplaytoolError(
                    f"the workflow code cannot be loaded: its process {self._describe_end()}",
                    "import the module with `python -c` to see the error",
                    code=ErrorCode.CODE_PROCESS_ENDED,
                )
            if answer.error:
                raise ReplaytoolError(
                    answer.error, answer.hint, answer.exit_code, code=find_error_code(answer.error_code)
                )
            self._code = answer.code
        return self._code

    def run_work(self, work: WorkItem) -> T:
        """Return the job's answer, or its crash answer if the process died."""
        self.loaded_code()
        began = time.monotonic()
        self._send_message(RunRequest(work.run, work.argument), work.history())
        answer = self._receive_answer(self.job.answer, began + self.limits.timeout)
        if answer is None:
            return self.job.crashed(f"the replay's process {self._describe_end()}", time.monotonic() - began)
        if self.job.is_shaky(answer):
            self._wait_for_exit()
        return answer

    def _wait_for_exit(self) -> None:
        """Wait a moment: after a shaky answer the process may be exiting, and the next run must not fail for it."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)

    def _send_message(self, value: object, history: bytes) -> None:
        """Send a message; if that fails, no answer comes either, and the caller sees that."""
        assert self.process.stdin is not None
        with suppress(OSError):
            send_message(self.process.stdin, value, history)

    def _receive_answer(self, kind: type[A], until: float) -> A | None:
        self._until = until
        try:
            return self._answers.receive_answer(kind)
        except (EOFError, OSError):
            return None
        finally:
            self._until = _NEVER

    def _watch_deadline(self) -> None:
        while not self._ended.wait(_LOOKS_EVERY):
            if self._until != _NEVER and (time.monotonic() > self._until or self.stopped.is_set()):
                self.late = not self.stopped.is_set()
                if self.late:
                    self.process.send_signal(TELL_PLACE)
                    self._ended.wait(_TELLING)
                self.process.kill()
                return

    def _describe_end(self) -> str:
        code = self._wait_or_kill()
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - _TAIL))
        said = self.errors.read().decode("utf-8", "replace")
        place = f", at {found}" if (found := find_user_line(said)) else ""
        if self.late:
            return f"was ended after {self.limits.timeout:g} seconds without an answer{place}"
        if "MemoryError" in said:
            return f"ran out of memory{place}"
        if code is None:
            return f"closed its connection and was ended{place}"
        if code >= 0:
            return f"ended by itself with exit code {code}"
        fatal = next((f": {line}" for line in said.splitlines() if line.startswith("Fatal Python error")), "")
        return f"was killed by {_signal_name(-code)}{place}{fatal}"

    def _wait_or_kill(self) -> int | None:
        """Return the exit code; None if the process closed its connection and went on, so that it was killed."""
        try:
            return self.process.wait(_WINDING_UP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def end_process(self, patience: float = 1.0) -> None:
        """Ask the process to exit, and kill it if it does not."""
        assert self.process.stdin is not None
        self._ended.set()
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._answers.close_pipe()
        self.errors.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def find_user_line(dump: str) -> str:
    r"""Return the innermost line of the user's code in a dump of all threads, or "".

    >>> find_user_line('Thread 0x1 (most recent call first):\n  File "/app/orders.py", line 12 in run\n')
    '/app/orders.py:12 in run'
    """
    for file, line, function in _FRAME.findall(dump):
        name = _unescape_name(file)
        if not name.startswith(_FOREIGN):
            return f"{_relative_name(name)}:{line} in {function}"
    return ""


def _unescape_name(name: str) -> str:
    """Undo the escapes that faulthandler writes for characters outside ASCII."""
    try:
        return str(ast.literal_eval(f'"{name}"')) if "\\" in name else name
    except (SyntaxError, ValueError):
        return name


def _relative_name(name: str) -> str:
    relative = os.path.relpath(name)
    return name if relative.startswith("..") else relative
