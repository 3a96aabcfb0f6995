"""Start Python processes that call a function of ours: a fork of the template, or a new interpreter."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import IO, Protocol
from weakref import WeakSet

from replaytool.workers.process_template import ForkRequest

_STARTING = 60.0
"""Seconds that Python and the engines may take to start on a busy machine."""
_SLICE = 0.1
"""Seconds of one wait, so that another thread can send a signal meanwhile."""


class PythonProcess(Protocol):
    """What the parent does with a process that it has started, as `subprocess.Popen` has it."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    returncode: int | None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""

    def wait_for_start(self) -> float:
        """Wait until the process runs; return how many seconds its own imports may take."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; raise subprocess.TimeoutExpired if it does not come."""

    def send_signal(self, sig: int) -> None:
        """Send a signal, if it still runs."""

    def kill(self) -> None:
        """End it at once."""


def start_python(entry: str, errors: IO[bytes], hash_seed: str = "0", folder: str | None = None) -> PythonProcess:
    """Start a Python process that calls `module:function`, with this process's import path."""
    path = list(sys.path) if folder is None else [os.path.abspath(one or ".") for one in sys.path]
    # glibc reserves address space per thread, and the memory limit counts address space: one arena is enough.
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "MALLOC_ARENA_MAX": "1"}
    # Elsewhere, system libraries of a forked process can refuse to work.
    if sys.platform == "linux":
        with suppress(OSError):
            place = folder or os.getcwd()
            return _template_for(environment, path).fork(ForkRequest(entry, path, environment, place), errors)
    return _NewInterpreter(
        _python_call(entry, path),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=folder, env=environment,
    )  # fmt: skip


class _NewInterpreter(subprocess.Popen[bytes]):
    """A process that imports everything by itself."""

    def wait_for_start(self) -> float:
        """Return the time for the engines, which this process imports itself."""
        return _STARTING


def _python_call(entry: str, path: list[str]) -> list[str]:
    module, _, function = entry.partition(":")
    call = f"import sys; sys.path[:] = sys.argv[1:]; from {module} import {function}; {function}()"
    return [sys.executable, "-c", call, *path]


class _TemplateProcess:
    """The parent's side of a template process."""

    def __init__(self, environment: dict[str, str], path: list[str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                _python_call("replaytool.workers.process_template:serve_forks", path),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**environment, "REPLAYTOOL_TEMPLATE_SOCKET": str(theirs.fileno())},
            )  # fmt: skip
        self._socket = ours
        self._forks: WeakSet[ForkedProcess] = WeakSet()
        self._lock = threading.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether no process that was forked from it runs."""
        return all(one.poll() is not None for one in self._forks)

    @property
    def is_alive(self) -> bool:
        """Whether the template runs."""
        return self._process.poll() is None

    def fork(self, request: ForkRequest, errors: IO[bytes]) -> ForkedProcess:
        """Ask for a process; the answer is not waited for."""
        stdin, requests = os.pipe()
        answers, stdout = os.pipe()
        statuses, status = os.pipe()
        text = request.encode()
        try:
            with self._lock:
                head = len(text).to_bytes(8, "big")
                socket.send_fds(self._socket, [head], [stdin, stdout, errors.fileno(), status])
                self._socket.sendall(text)
        except OSError:
            for one in (requests, answers, statuses):
                os.close(one)
            raise
        finally:
            for one in (stdin, stdout, status):
                os.close(one)
        forked = ForkedProcess(self, requests, answers, statuses)
        self._forks.add(forked)
        return forked

    def end_process(self) -> None:
        """End the template, and with it each process that was forked from it."""
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
            return
        self._process.kill()
        self._process.wait()


class ForkedProcess:
    """A process that was forked from the template, which reports its ID and its exit code."""

    def __init__(self, template: _TemplateProcess, requests: int, answers: int, statuses: int) -> None:
        self.stdin: IO[bytes] | None = os.fdopen(requests, "wb")
        self.stdout: IO[bytes] | None = os.fdopen(answers, "rb")
        self.returncode: int | None = None
        self._template = template
        self._statuses = statuses
        self._poll = select.poll()
        self._poll.register(statuses, select.POLLIN)
        self._pid: int | None = None
        self._reported = b""
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        self._read_reports(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; raise subprocess.TimeoutExpired if it does not come."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = _SLICE if until is None else min(_SLICE, until - time.monotonic())
            self._read_reports(max(0.0, left))
            if self.returncode is None and until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired("a worker of replaytool", timeout or 0)
        return self.returncode

    def wait_for_start(self) -> float:
        """Wait until the process runs or has ended: a template that is new imports the engines first."""
        until = time.monotonic() + _STARTING
        while self.poll() is None and self._pid is None:
            if time.monotonic() > until:
                self._template.end_process()
            self._read_reports(_SLICE)
        return 0.0

    def send_signal(self, sig: int) -> None:
        """Send a signal, if it still runs."""
        self.wait_for_start()
        if self.returncode is None and self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, sig)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _read_reports(self, seconds: float) -> None:
        """Read what the template reported: a line with the ID, and one with the exit code."""
        with self._lock:
            if self.returncode is not None or not self._poll.poll(seconds * 1000):
                return
            report = os.read(self._statuses, 256)
            self._reported += report
            lines = self._reported.split(b"\n")[:-1]
            if lines:
                self._pid = int(lines[0])
            if len(lines) > 1:
                self.returncode = int(lines[1])
            elif not report:  # the template itself was ended
                self._end_orphan()
            if self.returncode is not None:
                os.close(self._statuses)

    def _end_orphan(self) -> None:
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self.returncode = -signal.SIGKILL


_templates: dict[tuple[str, ...], _TemplateProcess] = {}
_templates_lock = threading.Lock()
_MOST_TEMPLATES = 2


def _template_for(environment: dict[str, str], path: list[str]) -> _TemplateProcess:
    """Return the template with this import path and these settings of Python; start one if there is none."""
    settings = sorted(f"{name}={value}" for name, value in environment.items() if name.startswith("PYTHON"))
    key = (sys.executable, *settings, *path)
    with _templates_lock:
        found = _templates.pop(key, None)
        if found is None or not found.is_alive:
            found = _TemplateProcess(environment, path)
        _templates[key] = found  # the one that was used last comes last
        for key in list(_templates)[:-_MOST_TEMPLATES]:
            if _templates[key].is_idle:
                _templates.pop(key).end_process()
        return found
