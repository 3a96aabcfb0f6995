"""This side of a walk's child process: ask, wait, cancel; and what to say when the child is not there any more."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import IO, Any, TypeVar

import msgspec

from replaytool.debug.process.messages import Asking, Cancel, Open, Question, Reply
from replaytool.engines import CodeSpec
from replaytool.errors import ReplaytoolError
from replaytool.model.debug_state import Trouble
from replaytool.model.history import Run
from replaytool.workers.worker_main import Ready, Setup, receive, send

T = TypeVar("T")
_LOADING = 120.0
_MEGABYTE = 1024 * 1024
_START = "import sys; sys.path[:] = sys.argv[1:]; from replaytool.debug.process.child import main; main()"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one code is, and what a child of it may take."""

    spec: CodeSpec
    cwd: str
    """Files are named as a person in this folder would name them."""
    sandbox: str = "shared"
    guard: bool = True
    seconds: float = 30.0
    """How long a child may be silent before it is given up."""
    megabytes: int = 1024


class Walker:
    """One code's child. It is begun again if it should end while it is asked something other than to replay."""

    def __init__(
        self,
        place: Place,
        run: Run,
        history: bytes,
        builds: Mapping[int, str],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._place, self._history = place, history
        self._open = Open(replace(run, events=()), dict(builds))
        self._progress = progress
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._opened: Future[Reply] | None = None
        self._closed = False

    def begin(self) -> None:
        """Start replaying, and come back at once."""
        with self._lock:
            self._begun()

    def ask(self, what: Question, kind: type[T]) -> tuple[T | None, Trouble | None]:
        """The answer, or what came between; raises ReplaytoolError where the code cannot be loaded."""
        with self._lock:
            child, opened = self._begun()
        reply = child.wait(opened)
        if reply.trouble is None:
            reply = child.wait(child.ask(what))
            if reply.trouble is not None and reply.trouble.kind == "crashed":
                with self._lock:
                    self._opened = None  # it was replayed before, so it is this question that it did not survive
        if not reply.answer:
            return None, reply.trouble
        return msgspec.json.decode(reply.answer, type=kind), None

    def _begun(self) -> tuple[_Child, Future[Reply]]:
        if self._closed:
            raise ReplaytoolError("the walk is closed", "begin another one")
        if self._child is None or self._opened is None:
            if self._child is not None:
                self._child.end()
            self._child = _Child(self._place, self._progress)
            self._opened = self._child.ask(self._open, self._history)
        return self._child, self._opened

    def cancel(self) -> None:
        """Whatever is being answered ends as `cancelled`; a replay that was cancelled is begun again when asked."""
        with self._lock:
            child, opened = self._child, self._opened
            if child is None:
                return
            child.cancel()
            if opened is not None and not opened.done():
                self._opened = None

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.end()


class _Child:
    """One process and the thread that reads what it says."""

    def __init__(self, place: Place, progress: Callable[[int], None] | None) -> None:
        self._place, self._progress = place, progress
        self._waiting: dict[int, Future[Reply]] = {}
        self._number = 0
        self._lock = threading.Lock()
        self._heard = time.monotonic()
        self._silence = _LOADING
        self._refused: ReplaytoolError | None = None
        self._late = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *(os.path.abspath(one or ".") for one in sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=place.cwd,
            env={**os.environ, "PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"},
        )
        options = {"sandbox": place.sandbox, "guard": place.guard}
        self._outbox: SimpleQueue[tuple[Any, bytes] | None] = SimpleQueue()
        self._outbox.put((Setup(place.spec, options=options, memory=place.megabytes * _MEGABYTE), b""))
        for work in (self._write, self._read):
            threading.Thread(target=work, daemon=True).start()

    def ask(self, what: Question, history: bytes = b"") -> Future[Reply]:
        """Send a question; its reply comes when it comes."""
        with self._lock:
            self._number += 1
            reply: Future[Reply] = Future()
            self._waiting[self._number] = reply
            self._heard = time.monotonic()
            self._outbox.put((Asking(self._number, what), history))
        if self._process.poll() is not None:
            self._ended()
        return reply

    def wait(self, reply: Future[Reply]) -> Reply:
        """The reply; a child that is silent for too long is ended, and has crashed."""
        while True:
            try:
                found = reply.result(0.2)
            except NotYet:
                if time.monotonic() - self._heard > self._silence:
                    self._late = True
                    self._process.kill()
                continue
            if self._refused is not None:
                raise self._refused
            return found

    def cancel(self) -> None:
        """Give up all that is being answered."""
        self._outbox.put((Asking(0, Cancel(self._number)), b""))

    def end(self) -> None:
        """Ask it to go, and make it."""
        self._outbox.put(None)
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write(self) -> None:
        """A child that is loading its code reads nothing, and nobody should have to wait for that."""
        assert self._process.stdin is not None
        with suppress(OSError):
            while (given := self._outbox.get()) is not None:
                send(self._process.stdin, *given)
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            ready: Ready = receive(self._process.stdout, Ready)[0]
            if ready.error:
                self._refused = ReplaytoolError(ready.error, ready.hint, ready.exit_code)
            self._heard, self._silence = time.monotonic(), self._place.seconds
            while True:
                self._take(receive(self._process.stdout, Reply)[0])
        except (EOFError, OSError, msgspec.DecodeError):
            self._process.kill()
            self._process.wait()
            self._ended()
        finally:
            self._process.stdout.close()

    def _take(self, reply: Reply) -> None:
        self._heard = time.monotonic()
        if reply.events is not None:
            if self._progress is not None:
                self._progress(reply.events)
            return
        with self._lock:
            waiting = self._waiting.pop(reply.number, None)
        if waiting is not None:
            waiting.set_result(reply)

    def _ended(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for number, one in waiting.items():
            with suppress(Exception):
                one.set_result(Reply(number, trouble=Trouble("crashed", self._end_in_words())))

    def _end_in_words(self) -> str:
        if self._late:
            return f"the replay's process was ended after {self._silence:g} seconds without a word"
        code = self._process.returncode
        words = f"was killed by signal {-code}" if code < 0 else f"ended by itself with exit code {code}"
        self._errors.seek(0)
        last = self._errors.read(4000).decode("utf-8", "replace").strip().splitlines()
        return f"the replay's process {words}" + (f": {last[0]}" if last else "")
