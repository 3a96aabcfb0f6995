"""The process while it replays: the SDK keeps its log to itself, and the garbage collector keeps out of the way."""

from __future__ import annotations

import atexit
import gc
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.workflow import UnfinishedSignalHandlersWarning, UnfinishedUpdateHandlersWarning


@cache
def silent_runtime() -> Runtime:
    """A core that writes nothing; one for the process, as each has threads of its own."""
    # The core's threads hand back what they hold a moment after a replay; an interpreter that is gone by then aborts.
    atexit.register(time.sleep, 0.05)
    off = TelemetryFilter(core_level="OFF", other_level="OFF")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=off)))


_lock = threading.Lock()
_inside = 0
_silence = ExitStack()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the SDK's loggers for a while, and asyncio's: what they have to say is in the verdict.

    Whoever replays many runs says so around them all: inside it costs nothing.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _silence.enter_context(_silent())
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _silence.close()


@contextmanager
def _silent() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("temporalio", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            for category in (UnfinishedSignalHandlersWarning, UnfinishedUpdateHandlersWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


_SELDOM = (200_000, 20, 100)


@contextmanager
def unhurried() -> Iterator[None]:
    """Let the garbage collector look less often: a run makes objects by the thousand and drops nearly all of them.

    Whoever replays many runs says so around them all: else it looks after each of them.
    """
    before = gc.get_threshold()
    if before == _SELDOM:
        yield
        return
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
