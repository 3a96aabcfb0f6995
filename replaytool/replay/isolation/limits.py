"""Limits for code: a thread that blocks is noticed by a watching thread and interrupted where Python can.

Python can interrupt any thread between two instructions. Inside a blocking call such as `time.sleep`, only the main
thread of a process that has reserved a signal can be interrupted.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from replaytool.replay.isolation.clock_and_random import monotonic

DEADLOCK = "[TMPRL1101] Potential deadlock detected: workflow didn't yield within 2 second(s)."
_LOOKS_EVERY = 0.1
A = TypeVar("A")
T = TypeVar("T")


class _DeadlineInterrupt(BaseException):
    """Raised inside code that does not yield."""


_signal = 0
_barking: Watchdog | None = None


def set_interrupt_signal(number: int) -> None:
    """Reserve a signal to interrupt the main thread; call this on that thread of a process of our own."""
    global _signal
    signal.signal(number, _handle_signal)
    _signal = number


def _handle_signal(number: int, frame: object) -> None:
    if _barking is not None and _barking.is_late:
        raise _DeadlineInterrupt


_dogs: dict[tuple[int, float], Watchdog] = {}


def call_with_deadline(seconds: float, call: Callable[[A], T], argument: A) -> tuple[T | None, bool]:
    """Return the call's result, and whether it was interrupted. Each thread has a watchdog of its own."""
    key = (threading.get_ident(), seconds)
    return _dogs.setdefault(key, Watchdog(seconds)).guard_call(call, argument)


class Watchdog:
    """Watches one call at a time; one thread makes thousands of calls a second."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._began: float | None = None
        self._thread = 0
        self._fired = False
        self._watching = False
        self._seen: float | None = None
        self._starved = 0.0
        self.on_interrupt: Callable[[int], None] | None = None
        """Looks at the thread while it is still where it should not be."""

    def guard_call(self, call: Callable[[A], T], argument: A) -> tuple[T | None, bool]:
        """Return the call's result, and whether it took too long."""
        if not self._watching:
            self._watching = True
            threading.Thread(
                target=_watch_until_collected, args=(weakref.ref(self),), name="replaytool-deadlock", daemon=True
            ).start()
        self._fired = False
        self._thread = threading.get_ident()
        self._began = monotonic()
        result = None
        try:
            result = call(argument)
        except _DeadlineInterrupt:
            pass
        finally:
            self._end_call()
        return result, self._fired

    @property
    def is_late(self) -> bool:
        """Whether the running call must be interrupted."""
        return self._fired and self._began is not None

    def _end_call(self) -> None:
        with self._lock:
            self._began = None
        if self._fired:
            with contextlib.suppress(_DeadlineInterrupt):
                time.sleep(0)  # an interrupt that arrives late is raised here, inside the suppress

    def interrupt_if_late(self) -> None:
        """Interrupt the call if it is late. Time for which a busy machine let it wait does not count."""
        began = self._began
        if began is None:
            return
        if began != self._seen:
            self._seen, self._starved = began, read_starved_seconds(self._thread)
        age = monotonic() - began
        if age > self.seconds and age - (read_starved_seconds(self._thread) - self._starved) > self.seconds:
            self._interrupt_call(began)

    def _interrupt_call(self, began: float) -> None:
        with self._lock:
            if self._began != began or self._fired:
                return
            self._fired = True
            if self.on_interrupt is not None:
                self.on_interrupt(self._thread)
            if _signal and self._thread == threading.main_thread().ident:
                global _barking
                _barking = self
                signal.pthread_kill(self._thread, _signal)
                return
            thread = ctypes.c_ulong(self._thread)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(_DeadlineInterrupt))


def read_starved_seconds(thread: int) -> float:
    """Return how long a thread was ready to run and had to wait for a processor; 0 where the system does not tell."""
    native = next((one.native_id for one in threading.enumerate() if one.ident == thread), None)
    try:
        told = Path(f"/proc/self/task/{native}/schedstat").read_text()
        return int(told.split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _watch_until_collected(dog: weakref.ref[Watchdog]) -> None:
    """Look until the watchdog is collected; otherwise threads of old watchdogs would pile up."""
    while (found := dog()) is not None:
        found.interrupt_if_late()
        del found
        time.sleep(_LOOKS_EVERY)


def is_out_of_memory(message: str) -> bool:
    """Return whether an error other than MemoryError means no memory: a new thread finds no room for its stack."""
    return "can't start new thread" in message
