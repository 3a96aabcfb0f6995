"""The clock and chance as code in this process sees them: each look can be noticed, and the wall clock can be set off.

Python audits neither, so the functions themselves are replaced, once per process and before the code is imported.
`datetime` is written in C and its methods cannot be assigned, so its dictionary is reached by the garbage collector's
way; the class stays the same class, which converters and type checks depend on.
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
from collections.abc import Callable
from types import FrameType
from typing import Any

monotonic = time.monotonic
"""The clock itself, for those who measure code and are not measured."""

Listener = Callable[[str, FrameType], None]
_SECOND = 1_000_000_000
_listener: Listener | None = None
_installed = False
_ahead = 0.0
_now, _now_ns = time.time, time.time_ns


def install(listener: Listener) -> None:
    """From now on the listener is told of every look, with the frame that looked."""
    global _listener, _installed
    _listener = listener
    if _installed:
        return
    _installed = True
    for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"):
        _replace(time, name, _noticed(f"time.{name}", getattr(time, name)))
    for name, function in _wall_clock().items():
        _replace(time, name, _noticed(f"time.{name}", function))
    for name in random.__all__:
        if getattr(getattr(random, name), "__self__", None) is _GLOBAL_RANDOM:
            _replace(random, name, _noticed(f"random.{name}", getattr(random, name)))
    for module, name in ((os, "urandom"), (random, "_urandom"), (uuid, "uuid1")):
        _replace(module, name, _noticed(f"{module.__name__}.{name.strip('_')}", getattr(module, name)))
    _replace_dates()


def set_off(seconds: float) -> None:
    """Let the wall clock be ahead by so many seconds, or behind."""
    global _ahead
    _ahead = seconds


_GLOBAL_RANDOM = getattr(random, "_inst", None)


def _tell(what: str, frame: FrameType | None) -> None:
    if _listener is not None and frame is not None:
        _listener(what, frame)


def _noticed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        _tell(what, sys._getframe().f_back)
        return function(*args, **options)

    return called


def _replace(module: Any, name: str, function: Any) -> None:
    setattr(module, name, function)


def _wall_clock() -> dict[str, Callable[..., Any]]:
    """The functions of `time` that read the wall clock, each with the clock set off."""

    def of_moment(function: Callable[..., Any], at: int) -> Callable[..., Any]:
        """One that takes a moment as its argument number `at`, and the present where there is none."""

        @functools.wraps(function)
        def called(*args: Any) -> Any:
            given = len(args) > at and args[at] is not None
            return function(*args) if given else function(*args[:at], present(function))

        return called

    def present(function: Callable[..., Any]) -> Any:
        moment = _now() + _ahead
        return localtime(moment) if function in (strftime, asctime) else moment

    localtime, strftime, asctime = time.localtime, time.strftime, time.asctime
    return {
        "time": functools.wraps(_now)(lambda: _now() + _ahead if _ahead else _now()),
        "time_ns": functools.wraps(_now_ns)(lambda: _now_ns() + round(_ahead * _SECOND)),
        **{name: of_moment(getattr(time, name), 0) for name in ("localtime", "gmtime", "ctime", "asctime")},
        "strftime": of_moment(strftime, 1),
    }


def _replace_dates() -> None:
    """`now`, `utcnow` and `today` of dates, for their subclasses too."""
    real = datetime.datetime.__dict__["now"], datetime.datetime.__dict__["utcnow"]

    def now(cls: type[datetime.datetime], tz: datetime.tzinfo | None = None) -> datetime.datetime:
        _tell("datetime.now", sys._getframe().f_back)
        if not _ahead:
            return real[0].__get__(None, cls)(tz)  # type: ignore[no-any-return]
        return cls.fromtimestamp(_now() + _ahead, tz)

    def utcnow(cls: type[datetime.datetime]) -> datetime.datetime:
        _tell("datetime.utcnow", sys._getframe().f_back)
        return real[1].__get__(None, cls)() + datetime.timedelta(seconds=_ahead)  # type: ignore[no-any-return]

    def today(cls: type[datetime.date]) -> datetime.date:
        _tell(f"{cls.__name__}.today", sys._getframe().f_back)
        return cls.fromtimestamp(_now() + _ahead)

    _assign(datetime.datetime, now=now, utcnow=utcnow)
    _assign(datetime.date, today=today)


def _assign(kind: type, **methods: Callable[..., Any]) -> None:
    members = {name: classmethod(method) for name, method in methods.items()}
    try:
        for name, member in members.items():
            setattr(kind, name, member)
    except TypeError:
        for held in gc.get_referents(kind.__dict__):
            if isinstance(held, dict):
                held.update(members)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
