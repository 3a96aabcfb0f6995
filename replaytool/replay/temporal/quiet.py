"""The SDK keeps its log to itself: neither Python's loggers nor the core's own output reach the report."""

from __future__ import annotations

import atexit
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the SDK's loggers for a while, and asyncio's: what they have to say is in the verdict."""
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
