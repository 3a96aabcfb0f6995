"""A child process that does a job with each run it is given: it loads the code once, then answers each request.

Requests come on its standard input, answers go to what was its standard output; whatever the user's code or the core
prints goes nowhere. Nothing is pickled: a history is data from outside.
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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import IO, Any

import msgspec

from replaytool.engines import Code, CodeSpec, Options, load
from replaytool.errors import FAULT, ReplaytoolError
from replaytool.model.history import Run
from replaytool.model.verdict import CodeInfo
from replaytool.replay.isolation import clock_and_random as senses
from replaytool.replay.isolation.memory import ran_out
from replaytool.replay.jobs import Asked, Job, named
from replaytool.replay.line_coverage import recording, traced
from replaytool.workers.replay_job import NO_MEMORY

WATCHES_LOADING = "watches_loading"
"""An argument of any job: loading the code is taken down too."""
_HEAD = struct.Struct(">IQ")
TELL_PLACE, _BREAK_OFF = signal.SIGUSR2, signal.SIGUSR1
"""The signals on which a child writes down where it is, and stops waiting."""


@dataclass(frozen=True)
class Setup:
    """All that a child must know before the first run."""

    spec: CodeSpec
    job: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    argument: dict[str, Any] = field(default_factory=dict)
    """What the job needs to know for every run."""
    memory: int = 0
    """Bytes that the code may take beyond what the child has after loading it; 0 is no bound."""
    clock_ahead: float = 0.0


@dataclass(frozen=True)
class Ready:
    """The code is loaded, or why it cannot be."""

    code: CodeInfo = field(default_factory=CodeInfo)
    error: str = ""
    hint: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Request:
    """One run; its history follows as bytes."""

    run: Run
    argument: dict[str, Any] = field(default_factory=dict)


def send(stream: IO[bytes], value: Any, history: bytes = b"") -> None:
    """Write one message."""
    head = msgspec.json.encode(value, enc_hook=repr)
    stream.write(_HEAD.pack(len(head), len(history)))
    stream.write(head)
    stream.write(history)
    stream.flush()


def receive(stream: IO[bytes], kind: type[Any]) -> tuple[Any, bytes]:
    """Read one message; EOFError where there is none any more."""
    start = _exactly(stream, _HEAD.size)
    head, history = _HEAD.unpack(start)
    return msgspec.json.decode(_exactly(stream, head), type=kind), _exactly(stream, history)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = stream.read(size - len(found))
        if not part:
            raise EOFError
        found += part
    return bytes(found)


def main() -> None:
    """The child of the pool."""
    run_child(_serve)


def run_child(serve: Callable[[IO[bytes], IO[bytes]], None]) -> None:
    """Serve until nothing comes any more. The exit is abrupt: threads that a workflow keeps are not waited for."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    faulthandler.enable()
    faulthandler.register(TELL_PLACE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    sys.dont_write_bytecode = True
    with suppress(EOFError, BrokenPipeError):
        serve(requests, answers)
    os._exit(0)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    setup: Setup = receive(requests, Setup)[0]
    senses.set_off(setup.clock_ahead)
    code = loaded(setup, answers)
    if code is None:
        return
    bound(setup.memory)
    job, options = named(setup.job), Options(**setup.options)
    from replaytool.engines.temporal.sdk.quiet_runtime import quiet, unhurried
    from replaytool.replay.isolation.limits import interrupt_by

    interrupt_by(_BREAK_OFF)

    with quiet(), unhurried():
        while True:
            request, history = receive(requests, Request)
            asked = Asked(request.run, history, code, options, setup.argument | request.argument)
            answer = _answer(job, asked)
            send(answers, answer)
            if job.is_last(answer):
                return


def loaded(setup: Setup, answers: IO[bytes]) -> Code | None:
    """The code, once whoever asks has been told that it is loaded, or why not."""
    try:
        code = _watched(setup.spec) if setup.argument.get(WATCHES_LOADING) else load(setup.spec)
    except ReplaytoolError as error:
        send(answers, Ready(error=error.message, hint=error.hint, exit_code=error.exit_code))
        return None
    send(answers, Ready(code.info))
    return code


def _watched(spec: CodeSpec) -> Code:
    from replaytool.replay import call_site as callsite

    with recording(callsite.is_user) as tracer, traced():
        code = load(spec)
    found = tracer.reach()
    return replace(code, info=replace(code.info, loading=found.lines, read=found.read))


def _answer(job: Job[Any], asked: Asked) -> Any:
    try:
        return job.work(asked)
    except MemoryError:
        return job.crashed(NO_MEMORY, 0.0)
    except Exception as error:  # whatever it is, it is about this run, and the others go on
        if ran_out(str(error)):
            return job.crashed(NO_MEMORY, 0.0)
        last = traceback.format_exc().strip().splitlines()[-3:]
        return job.fault(f"a fault of replaytool itself: {type(error).__name__}: {error}", " | ".join(last))


def bound(memory: int) -> None:
    """Where the system knows such a bound; what a child has already is the SDK and the code, not the run."""
    if not memory:
        return
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as found:
            taken = int(found.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
    except (ImportError, OSError, ValueError):
        pass


if __name__ == "__main__":
    try:
        main()
    except Exception:
        faulthandler.dump_traceback()
        os._exit(FAULT)
