"""Read a worker's answers from its pipe, without trusting the pipe to end when the worker does.

Workflow code may fork a process that inherits the pipe and keeps it open, so the end of the worker ends the answers.
"""

from __future__ import annotations

import os
import select
from typing import TypeVar

import msgspec

from replaytool.workers.start_process import PythonProcess
from replaytool.workers.worker_main import HEAD_SIZE, unpack_head

T = TypeVar("T")
_LOOKS_EVERY = 0.1
_CHUNK = 1 << 16


class AnswerPipe:
    """The answers of one worker process. One thread at a time reads them."""

    def __init__(self, process: PythonProcess) -> None:
        assert process.stdout is not None
        self._process = process
        self._pipe = process.stdout
        self._number = self._pipe.fileno()
        self._waiting = select.poll()  # select() refuses file numbers above 1023
        self._waiting.register(self._number, select.POLLIN)
        self._unread = bytearray()

    def receive_answer(self, kind: type[T]) -> T:
        """Return the next answer; raise EOFError if the process has ended or the pipe is closed."""
        head, history = unpack_head(self._take_bytes(HEAD_SIZE))
        content = self._take_bytes(head)
        self._take_bytes(history)
        return msgspec.json.decode(content, type=kind)

    def close_pipe(self) -> None:
        """Close the pipe. No thread may be reading it."""
        self._pipe.close()

    def _take_bytes(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._unread += self._read_some()
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _read_some(self) -> bytes:
        while not self._waiting.poll(_LOOKS_EVERY * 1000):
            # What an ended process has written can be read at once.
            if self._process.poll() is not None and not self._waiting.poll(0):
                raise EOFError
        found = os.read(self._number, _CHUNK)
        if not found:
            raise EOFError
        return found
