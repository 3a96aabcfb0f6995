"""The main program of a worker process: it loads the code once, then answers each request.

Requests come on standard input, answers go to what was standard output; anything that the user's code prints is
dropped. Messages are JSON, never pickle, because a history is data from outside.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import struct
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import IO, Any, TypeVar

import msgspec

from replaytool.engines import Code, CodeSpec, Options, engine_of, load_code
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Run
from replaytool.model.verdict import CodeInfo
from replaytool.replay.isolation import clock_and_random as senses
from replaytool.replay.isolation.limits import is_out_of_memory
from replaytool.replay.isolation.state_keeper import ModuleStateKeeper, is_module_of_project, keep_module_state
from replaytool.replay.jobs import JobRequest, WorkerJob, find_job
from replaytool.replay.line_coverage import record_coverage, trace_activation
from replaytool.workers.replay_job import NO_MEMORY

WATCHES_LOADING = "watches_loading"
"""An argument of any job: record the lines that run while the code is loaded, too."""
_HEAD = struct.Struct(">IQ")
HEAD_SIZE = _HEAD.size
TELL_PLACE, _BREAK_OFF = signal.SIGUSR2, signal.SIGUSR1
"""The signals on which a worker writes its stacks down, and interrupts a blocking call."""


_FORKS_ITSELF = threading.Event()
"""Set while the worker forks itself for one answer."""
T = TypeVar("T")


@dataclass(frozen=True)
class WorkerSetup:
    """Everything that a worker must know before its first run."""

    spec: CodeSpec
    job: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    argument: dict[str, object] = field(default_factory=dict)
    """What the job needs for every run."""
    memory: int = 0
    """Bytes that the code may use beyond what the process has after loading it; 0 is no limit."""
    clock_ahead: float = 0.0


@dataclass(frozen=True)
class CodeLoaded:
    """The code is loaded, or why it cannot be loaded."""

    code: CodeInfo = field(default_factory=CodeInfo)
    error: str = ""
    hint: str = ""
    exit_code: int = 0
    error_code: str = ""


@dataclass(frozen=True)
class RunRequest:
    """One run; its history follows as bytes."""

    run: Run
    argument: dict[str, object] = field(default_factory=dict)


def send_message(stream: IO[bytes], value: object, history: bytes = b"") -> None:
    """Write one message."""
    head = msgspec.json.encode(value, enc_hook=repr)
    stream.write(_HEAD.pack(len(head), len(history)))
    stream.write(head)
    stream.write(history)
    stream.flush()


def unpack_head(start: bytes) -> tuple[int, int]:
    """Return the lengths of a message's value and of its history."""
    value, history = _HEAD.unpack(start)
    return value, history


def receive_message(stream: IO[bytes], kind: type[T]) -> tuple[T, bytes]:
    """Read one message; raise EOFError at the end of the stream."""
    head, history = unpack_head(_read_exactly(stream, HEAD_SIZE))
    return msgspec.json.decode(_read_exactly(stream, head), type=kind), _read_exactly(stream, history)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = stream.read(size - len(found))
        if not part:
            raise EOFError
        found += part
    return bytes(found)


def run_worker() -> None:
    """Run a worker of the pool."""
    serve_pipes(_serve_requests)


def serve_pipes(serve: Callable[[IO[bytes], IO[bytes]], None]) -> None:
    """Serve until the requests end, then exit at once: threads that a workflow left are not waited for."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    faulthandler.enable()
    faulthandler.register(TELL_PLACE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    os.register_at_fork(after_in_child=lambda: _disown_fork(answers.fileno(), nowhere))
    sys.dont_write_bytecode = True
    with suppress(EOFError, BrokenPipeError):
        serve(requests, answers)
    os._exit(0)


def _disown_fork(answers: int, nowhere: int) -> None:
    """In a process that the user's code forked: end it with the worker, and keep what it says out of the answers."""
    if not _FORKS_ITSELF.is_set():
        os.dup2(nowhere, answers)
        threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def _serve_requests(requests: IO[bytes], answers: IO[bytes]) -> None:
    setup = receive_message(requests, WorkerSetup)[0]
    senses.shift_wall_clock(setup.clock_ahead)
    code = load_and_announce(setup, answers)
    if code is None:
        return
    limit_memory(setup.memory)
    job, options = find_job(setup.job), Options(**setup.options)
    from replaytool.replay.isolation.limits import set_interrupt_signal

    set_interrupt_signal(_BREAK_OFF)
    keeper = _keep_loaded_state(code)
    with ExitStack() as prepared:
        for engine in code.by_engine:
            prepared.enter_context(engine_of(engine).prepare_child())
        while True:
            request, history = receive_message(requests, RunRequest)
            own, argument = code.for_run(request.run), setup.argument | request.argument
            asked = JobRequest(request.run, history, own, options, argument)
            if keeper.needs_process:
                _answer_in_fork(job, asked, answers)
                continue
            keeper.restore_state()
            answer = _answer_request(job, asked)
            send_message(answers, answer)
            if job.is_last(answer):
                return


def _keep_loaded_state(code: Code) -> ModuleStateKeeper:
    """Remember what the user's modules hold, now that they are imported and nothing has run."""
    from replaytool.replay import call_site as callsite

    callsite.claim_user_folders(code.roots)
    return keep_module_state(lambda file: callsite.is_user_file(file) and is_module_of_project(file, code.roots))


def _answer_in_fork(job: WorkerJob[Any], asked: JobRequest, answers: IO[bytes]) -> None:
    """Answer in a process of its own, and end as that process ends if it gives no answer."""
    worker = os.getpid()
    seen, told = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the only other thread waits for the parent to end, and holds nothing
        _FORKS_ITSELF.set()
        child = os.fork()
        _FORKS_ITSELF.clear()
    if child == 0:
        threading.Thread(target=_exit_with_parent, args=(worker,), daemon=True).start()
        send_message(answers, _answer_request(job, asked))
        os.write(told, b"1")
        os._exit(0)
    os.close(told)
    has_answered = os.read(seen, 1)
    os.close(seen)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if has_answered:
        return
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(worker, -status)
    os._exit(status)


def load_and_announce(setup: WorkerSetup, answers: IO[bytes]) -> Code | None:
    """Load the code and report the result to the parent; return None if it cannot be loaded."""
    try:
        code = _load_with_coverage(setup.spec) if setup.argument.get(WATCHES_LOADING) else load_code(setup.spec)
    except ReplaytoolError as error:
        send_message(
            answers,
            CodeLoaded(error=error.message, hint=error.hint, exit_code=error.exit_code, error_code=error.code.code),
        )
        return None
    send_message(answers, CodeLoaded(code.info))
    return code


def _load_with_coverage(spec: CodeSpec) -> Code:
    from replaytool.replay import call_site as callsite

    with record_coverage(callsite.is_user_code) as tracer, trace_activation():
        code = load_code(spec)
    found = tracer.recorded_coverage()
    return replace(code, info=replace(code.info, loading=found.lines, read=found.read))


def _answer_request(job: WorkerJob[T], asked: JobRequest) -> T:
    try:
        return job.work(asked)
    except MemoryError:
        return job.crashed(NO_MEMORY, 0.0)
    except Exception as error:  # it concerns this run only, so the others continue
        if is_out_of_memory(str(error)):
            return job.crashed(NO_MEMORY, 0.0)
        last = traceback.format_exc().strip().splitlines()[-3:]
        return job.fault(f"internal error of replaytool: {type(error).__name__}: {error}", " | ".join(last))


def limit_memory(memory: int) -> None:
    """Limit the memory, where the system can. What the process has already is the SDK and the code, not the run."""
    if not memory:
        return
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as found:
            taken = int(found.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
    except (ImportError, OSError, ValueError):
        pass
