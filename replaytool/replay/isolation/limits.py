"""Code that keeps its thread: noticed by one watching thread, and broken off where Python can break it off.

Between two instructions any thread can be broken off; in a call that waits, like `time.sleep`, only the main thread
of a process that has given a signal for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from replaytool.replay.isolation.clock_and_random import monotonic

DEADLOCK = "[TMPRL1101] Potential deadlock detected: workflow didn't yield within 2 second(s)."
_LOOKS_EVERY = 0.1


class _Interrupt(BaseException):
    """Raised in the middle of the code that does not yield."""


_signal = 0
_barking: Watchdog | None = None


def interrupt_by(number: int) -> None:
    """Give a signal to break off the main thread with; to be called on that thread, in a process of our own."""
    global _signal
    signal.signal(number, _on_signal)
    _signal = number


def _on_signal(number: int, frame: object) -> None:
    if _barking is not None and _barking.is_late:
        raise _Interrupt


_dogs: dict[tuple[int, float], Watchdog] = {}


def bounded(seconds: float, call: Callable[[Any], Any], argument: Any) -> tuple[Any, bool]:
    """The call's result, or that it took longer and was broken off. Each thread has a dog of its own."""
    key = (threading.get_ident(), seconds)
    return _dogs.setdefault(key, Watchdog(seconds)).guard(call, argument)


class Watchdog:
    """Watches the calls of one thread at a time; the same thread makes thousands of them a second."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._began: float | None = None
        self._thread = 0
        self._fired = False
        self._watching = False
        self.on_interrupt: Callable[[int], None] | None = None
        """Looks at the thread while it is still where it should not be."""

    def guard(self, call: Callable[[Any], Any], argument: Any) -> tuple[Any, bool]:
        """The call's result, and whether it took too long."""
        if not self._watching:
            self._watching = True
            threading.Thread(target=_watch, args=(weakref.ref(self),), name="replaytool-deadlock", daemon=True).start()
        self._fired = False
        self._thread = threading.get_ident()
        self._began = monotonic()
        result = None
        try:
            result = call(argument)
        except _Interrupt:
            pass
        finally:
            self._done()
        return result, self._fired

    @property
    def is_late(self) -> bool:
        """Whether the call that goes on is to be broken off."""
        return self._fired and self._began is not None

    def _done(self) -> None:
        with self._lock:
            self._began = None
        if self._fired:
            with contextlib.suppress(_Interrupt):
                time.sleep(0)  # an interrupt that comes late comes here

    def look(self) -> None:
        """Break the call off if it is late."""
        began = self._began
        if began is not None and monotonic() - began > self.seconds:
            self._interrupt(began)

    def _interrupt(self, began: float) -> None:
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
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(_Interrupt))


def _watch(dog: weakref.ref[Watchdog]) -> None:
    """Look until the dog is gone: a thread for each that ever was would in the end do nothing but look."""
    while (found := dog()) is not None:
        found.look()
        del found
        time.sleep(_LOOKS_EVERY)
