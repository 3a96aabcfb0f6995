"""The parent's side of a debugger child process: ask, wait, cancel, and report a child that died."""

from __future__ import annotations

import math
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import IO, TypeVar

import msgspec

from replaytool.debug.process.messages import CancelQuestions, DebugReply, NumberedQuestion, OpenRun, Question
from replaytool.engines import CodeSpec
from replaytool.errors import ErrorCode, ReplaytoolError, find_error_code
from replaytool.model.debug_state import Trouble
from replaytool.model.history import Run
from replaytool.workers.answer_pipe import AnswerPipe
from replaytool.workers.start_process import start_python
from replaytool.workers.worker_main import TELL_PLACE, CodeLoaded, WorkerSetup, send_message
from replaytool.workers.worker_process import find_user_line

T = TypeVar("T")
_TELLING = 0.3
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DebugProcessSetup:
    """Where one code is, and what its child process may use."""

    spec: CodeSpec
    cwd: str
    """File names in answers are relative to this folder."""
    sandbox: str = "shared"
    guard: bool = True
    seconds: float = 30.0
    """Seconds that a child may be silent before it is killed."""
    loading_seconds: float = 30.0
    """Seconds that importing the code may take, once the process runs."""
    megabytes: int = 1024


class DebugClient:
    """The child process of one code. It is restarted if it dies on a question other than the replay."""

    def __init__(
        self,
        place: DebugProcessSetup,
        run: Run,
        history: bytes,
        builds: Mapping[int, str],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._place, self._history = place, history
        self._open = OpenRun(replace(run, events=()), dict(builds))
        self._progress = progress
        self._lock = threading.Lock()
        self._child: _DebugProcess | None = None
        self._opened: Future[DebugReply] | None = None
        self._closed = False

    def begin_replay(self) -> None:
        """Start the replay and return at once."""
        with self._lock:
            self._running_process()

    def ask_question(self, what: Question, kind: type[T]) -> tuple[T | None, Trouble | None]:
        """Return the answer, or the trouble; raise ReplaytoolError if the code cannot be loaded."""
        with self._lock:
            child, opened = self._running_process()
        reply = child.wait_for_reply(opened)
        if reply.trouble is None:
            reply = child.wait_for_reply(child.send_question(what))
            if reply.trouble is not None and reply.trouble.kind == "crashed":
                with self._lock:
                    self._opened = None  # the replay worked before, so this question killed it: restart next time
        if not reply.answer:
            return None, reply.trouble
        return msgspec.json.decode(reply.answer, type=kind), None

    def _running_process(self) -> tuple[_DebugProcess, Future[DebugReply]]:
        if self._closed:
            raise ReplaytoolError("this debug session is closed", "open the run again", code=ErrorCode.DEBUG_CLOSED)
        if self._child is None or self._opened is None:
            if self._child is not None:
                self._child.end_process()
            self._child = _DebugProcess(self._place, self._progress)
            self._opened = self._child.send_question(self._open, self._history)
        return self._child, self._opened

    def cancel_questions(self) -> None:
        """Cancel all running questions; a cancelled replay starts again with the next question."""
        with self._lock:
            child, opened = self._child, self._opened
            if child is None:
                return
            child.cancel_questions()
            if opened is not None and not opened.done():
                self._opened = None

    def close_process(self) -> None:
        """End the child process."""
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.end_process()


class _DebugProcess:
    """One process, and the threads that write to it and read from it."""

    def __init__(self, place: DebugProcessSetup, progress: Callable[[int], None] | None) -> None:
        self._place, self._progress = place, progress
        self._waiting: dict[int, Future[DebugReply]] = {}
        self._number = 0
        self._lock = threading.Lock()
        self._heard = time.monotonic()
        self._silence = math.inf
        self._is_loaded = False
        self._refused: ReplaytoolError | None = None
        self._late = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = start_python("replaytool.debug.process.child:run_debug_process", self._errors, folder=place.cwd)
        self._answers = AnswerPipe(self._process)
        options = {"sandbox": place.sandbox, "guard": place.guard}
        self._outbox: SimpleQueue[tuple[object, bytes] | None] = SimpleQueue()
        self._outbox.put((WorkerSetup(place.spec, options=options, memory=place.megabytes * _MEGABYTE), b""))
        for work in (self._write_messages, self._read_replies):
            threading.Thread(target=work, daemon=True).start()

    def send_question(self, what: Question, history: bytes = b"") -> Future[DebugReply]:
        """Send a question and return its future reply."""
        with self._lock:
            self._number += 1
            reply: Future[DebugReply] = Future()
            self._waiting[self._number] = reply
            self._heard = time.monotonic()
            self._outbox.put((NumberedQuestion(self._number, what), history))
        if self._process.poll() is not None:
            self._fail_waiting()
        return reply

    def wait_for_reply(self, reply: Future[DebugReply]) -> DebugReply:
        """Return the reply; kill a child that is silent for too long."""
        while True:
            try:
                found = reply.result(0.2)
            except NotYet:
                if time.monotonic() - self._heard > self._silence and not self._late:
                    self._late = True
                    self._kill_late_process()
                continue
            if self._refused is not None:
                raise self._refused
            return found

    def _kill_late_process(self) -> None:
        """Kill the process after it has written its stacks down."""
        self._process.send_signal(TELL_PLACE)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_TELLING)
        self._process.kill()

    def cancel_questions(self) -> None:
        """Cancel everything that is being answered."""
        self._outbox.put((NumberedQuestion(0, CancelQuestions(self._number)), b""))

    def end_process(self) -> None:
        """Ask the process to exit, and kill it if it does not."""
        self._outbox.put(None)
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write_messages(self) -> None:
        """Write messages from a thread of its own: a child that is loading its code reads nothing."""
        assert self._process.stdin is not None
        with suppress(OSError):
            while (given := self._outbox.get()) is not None:
                send_message(self._process.stdin, *given)
            self._process.stdin.close()

    def _read_replies(self) -> None:
        try:
            allowance = self._process.wait_for_start()
            self._heard, self._silence = time.monotonic(), allowance + self._place.loading_seconds
            ready = self._answers.receive_answer(CodeLoaded)
            if ready.error:
                self._refused = ReplaytoolError(
                    ready.error, ready.hint, ready.exit_code, code=find_error_code(ready.error_code)
                )
            self._heard, self._silence, self._is_loaded = time.monotonic(), self._place.seconds, True
            while True:
                self._deliver_reply(self._answers.receive_answer(DebugReply))
        except (EOFError, OSError, msgspec.DecodeError):
            self._process.kill()
            self._process.wait()
            if self._late and not self._is_loaded:
                self._refused = self._explain_endless_import()
            self._fail_waiting()
        finally:
            self._answers.close_pipe()

    def _deliver_reply(self, reply: DebugReply) -> None:
        self._heard = time.monotonic()
        if reply.events is not None:
            if self._progress is not None:
                self._progress(reply.events)
            return
        with self._lock:
            waiting = self._waiting.pop(reply.number, None)
        if waiting is not None:
            waiting.set_result(reply)

    def _fail_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for number, one in waiting.items():
            with suppress(Exception):
                one.set_result(DebugReply(number, trouble=Trouble("crashed", self._describe_end())))

    def _explain_endless_import(self) -> ReplaytoolError:
        self._errors.seek(0)
        place = find_user_line(self._errors.read().decode("utf-8", "replace"))
        return ReplaytoolError(
            f"the workflow code cannot be loaded: its import did not end within {self._place.loading_seconds:g} seconds"
            + (f", at {place}" if place else ""),
            "import the module with `python -c` to see what it waits for",
            code=ErrorCode.CODE_PROCESS_ENDED,
        )

    def _describe_end(self) -> str:
        if self._late:
            return f"the replay's process was killed after {self._silence:g} seconds without an answer"
        code = self._process.wait()
        words = f"was killed by signal {-code}" if code < 0 else f"ended by itself with exit code {code}"
        self._errors.seek(0)
        last = self._errors.read(4000).decode("utf-8", "replace").strip().splitlines()
        return f"the replay's process {words}" + (f": {last[0]}" if last else "")
