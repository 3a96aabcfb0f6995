"""Notice each use of the clock and random numbers in this process, and shift the wall clock.

Python has no audit event for them, so the functions themselves are replaced, once per process and before user code is
imported. `datetime` is a C class whose methods cannot be assigned; its dictionary is reached through the garbage
collector. The class object stays the same, because converters and type checks depend on it.
"""

from __future__ import annotations

import ctypes
import datetime
import functools
import gc
import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

monotonic = time.monotonic
"""The real clock, for code that measures and is not measured."""

Listener = Callable[[str, FrameType], None]
_SECOND = 1_000_000_000
_listener: Listener | None = None
_installed = False
_ahead = 0.0
_now, _now_ns = time.time, time.time_ns


def install_listener(listener: Listener) -> None:
    """Call the listener for every use from now on, with the frame of the caller."""
    global _listener, _installed
    _listener = listener
    if _installed:
        return
    _installed = True
    for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"):
        _replace_function(time, name, _wrap_with_notice(f"time.{name}", getattr(time, name)))
    for name, function in _shifted_clock_functions().items():
        _replace_function(time, name, function)
    for name in random.__all__:
        if getattr(getattr(random, name), "__self__", None) is _GLOBAL_RANDOM:
            _replace_function(random, name, _wrap_with_notice(f"random.{name}", getattr(random, name)))
    for module, name in ((os, "urandom"), (random, "_urandom"), (uuid, "uuid1")):
        _replace_function(
            module, name, _wrap_with_notice(f"{module.__name__}.{name.strip('_')}", getattr(module, name))
        )
    _replace_dates()


def shift_wall_clock(seconds: float) -> None:
    """Shift the wall clock by this many seconds."""
    global _ahead
    _ahead = seconds


@contextmanager
def shift_wall_clock_further(seconds: float) -> Iterator[None]:
    """Shift the wall clock by more seconds inside the block."""
    before = _ahead
    shift_wall_clock(before + seconds)
    try:
        yield
    finally:
        shift_wall_clock(before)


_GLOBAL_RANDOM = getattr(random, "_inst", None)


def _notify_listener(what: str, frame: FrameType | None) -> None:
    if _listener is not None and frame is not None:
        _listener(what, frame)


def _wrap_with_notice(what: str, function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def notifying_call(*args: object, **options: object) -> object:
        _notify_listener(what, sys._getframe().f_back)
        return function(*args, **options)

    return notifying_call


def _replace_function(module: object, name: str, function: object) -> None:
    setattr(module, name, function)


def _shifted_clock_functions() -> dict[str, Callable[..., object]]:
    """Return the functions of `time` that read the wall clock, each with the shift and with a notice."""
    localtime, strftime, asctime = time.localtime, time.strftime, time.asctime

    def default_to_now(name: str, at: int) -> Callable[..., object]:
        """Wrap a function whose argument number `at` is a time, or now if it is missing."""
        function = getattr(time, name)

        @functools.wraps(function)
        def shifted_call(*args: object) -> object:
            # A given moment is only converted. `datetime.strftime` comes here with one, from C.
            if len(args) > at and args[at] is not None:
                return function(*args)
            _notify_listener(f"time.{name}", sys._getframe().f_back)
            moment = _now() + _ahead
            return function(*args[:at], localtime(moment) if function in (strftime, asctime) else moment)

        return shifted_call

    return {
        "time": _wrap_with_notice("time.time", functools.wraps(_now)(lambda: _now() + _ahead if _ahead else _now())),
        "time_ns": _wrap_with_notice(
            "time.time_ns", functools.wraps(_now_ns)(lambda: _now_ns() + round(_ahead * _SECOND))
        ),
        **{name: default_to_now(name, 0) for name in ("localtime", "gmtime", "ctime", "asctime")},
        "strftime": default_to_now("strftime", 1),
    }


def _replace_dates() -> None:
    """Replace `now`, `utcnow` and `today` of date classes, for their subclasses too."""
    real = datetime.datetime.__dict__["now"], datetime.datetime.__dict__["utcnow"]

    def now(cls: type[datetime.datetime], tz: datetime.tzinfo | None = None) -> datetime.datetime:
        _notify_listener("datetime.now", sys._getframe().f_back)
        if not _ahead:
            return real[0].__get__(None, cls)(tz)  # type: ignore[no-any-return]
        return cls.fromtimestamp(_now() + _ahead, tz)

    def utcnow(cls: type[datetime.datetime]) -> datetime.datetime:
        _notify_listener("datetime.utcnow", sys._getframe().f_back)
        return real[1].__get__(None, cls)() + datetime.timedelta(seconds=_ahead)  # type: ignore[no-any-return]

    def today(cls: type[datetime.date]) -> datetime.date:
        _notify_listener(f"{cls.__name__}.today", sys._getframe().f_back)
        return cls.fromtimestamp(_now() + _ahead)

    _set_class_methods(datetime.datetime, now=now, utcnow=utcnow)
    _set_class_methods(datetime.date, today=today)


def _set_class_methods(kind: type, **methods: Callable[..., object]) -> None:
    members = {name: classmethod(method) for name, method in methods.items()}
    try:
        for name, member in members.items():
            setattr(kind, name, member)
    except TypeError:
        for held in gc.get_referents(kind.__dict__):
            if isinstance(held, dict):
                held.update(members)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
