"""Silence the SDK's logs and relax the garbage collector while a process replays."""

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
def get_silent_runtime() -> Runtime:
    """Return an sdk-core runtime without logs; one for the process, as each runtime has its own threads."""
    # sdk-core's threads release Python objects a moment after a replay. If the interpreter is gone by then, they abort.
    atexit.register(time.sleep, 0.05)
    off = TelemetryFilter(core_level="OFF", other_level="OFF")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=off)))


_lock = threading.Lock()
_inside = 0
_silence = ExitStack()


@contextmanager
def silence_sdk_logs() -> Iterator[None]:
    """Silence the loggers of the SDK and of asyncio; the verdict has what they would say.

    Put it around a loop over many runs: a nested call costs nothing.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _silence.enter_context(_mute_loggers())
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _silence.close()


@contextmanager
def _mute_loggers() -> Iterator[None]:
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
def relax_garbage_collector() -> Iterator[None]:
    """Run the garbage collector less often: a run makes thousands of objects and frees nearly all by itself.

    Put it around a loop over many runs: otherwise the collector runs after each.
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
