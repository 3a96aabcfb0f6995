"""The template process: it imports the engines once, and each worker is a fork of it.

An import of the engines takes most of a second, a fork a few milliseconds. The template has run nothing of the user's:
a worker that was forked from it has the state of a process that has just started.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass

from replaytool.engines import ENGINES, engine_of

_REQUEST_FDS = 4


@dataclass(frozen=True)
class ForkRequest:
    """What a forked process calls, and where."""

    entry: str
    """`module:function`."""
    path: list[str]
    environment: dict[str, str]
    folder: str

    def encode(self) -> bytes:
        """Return the request as one message. Surrogates stand for bytes that are no UTF-8."""
        return json.dumps(asdict(self)).encode("ascii")


def serve_forks() -> None:
    """Fork a process for each request until the parent's end of the socket closes."""
    requests = socket.socket(fileno=int(os.environ.pop("REPLAYTOOL_TEMPLATE_SOCKET")))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _import_engines()
    _Template(requests).serve()


def _import_engines() -> None:
    """Import our own engines; those of other packages are imported by the worker that needs them."""
    for name in ENGINES:
        with suppress(ImportError):
            engine_of(name).code_finder()
            engine_of(name).strategies()


class _Template:
    """The loop of the template: requests from the parent, and children that end."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._statuses: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Serve until the parent is gone; its workers see that and end too."""
        with selectors.PollSelector() as selector:
            selector.register(self._requests, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._requests:
                        self._take_request()
                    else:
                        os.read(self._woken, 512)
                        self._report_ended_children()

    def _take_request(self) -> None:
        head, descriptors, _, _ = socket.recv_fds(self._requests, 8, _REQUEST_FDS)
        if not head:
            os._exit(0)
        size, text = int.from_bytes(head, "big"), bytearray()
        while len(text) < size:  # and not one byte more: the next request can be there already
            part = self._requests.recv(min(65536, size - len(text)))
            if not part:
                os._exit(0)
            text += part
        child = os.fork()
        if child == 0:
            self._become_worker(ForkRequest(**json.loads(text)), descriptors)
        status = descriptors.pop()
        for one in descriptors:
            os.close(one)
        self._statuses[child] = status
        with suppress(OSError):
            os.write(status, f"{child}\n".encode())

    def _become_worker(self, request: ForkRequest, descriptors: list[int]) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for target, given in enumerate(descriptors[:3]):
                os.dup2(given, target)
            for one in (*descriptors, *self._statuses.values(), self._woken, self._wake):
                os.close(one)
            self._requests.close()
            os.environ.clear()
            os.environ.update(request.environment)
            os.chdir(request.folder)
            sys.path[:] = request.path
            sys.argv[:] = ["-c", *request.path]
            module, _, function = request.entry.partition(":")
            getattr(__import__(module, fromlist=[function]), function)()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    def _report_ended_children(self) -> None:
        while self._statuses:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            told = self._statuses.pop(child)
            with suppress(OSError):
                os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(told)
