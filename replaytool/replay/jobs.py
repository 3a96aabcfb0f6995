"""A job: what a worker process does with a run. Workers find it by its name.

To add one, write a function that takes a request and returns a value that msgspec can encode, and a module-level
`WorkerJob` that holds its own import path.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from replaytool.model.history import Run
from replaytool.replay.code.user_code import Code
from replaytool.replay.options import Options

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One run, and everything needed to do a job with it."""

    run: Run
    """Without events."""
    history: bytes
    """The events, encoded by the sender."""
    code: Code
    options: Options
    argument: Mapping[str, Any]
    """What the job needs: the same for all runs of the pool, plus this run's own."""


@dataclass(frozen=True, slots=True)
class WorkerJob(Generic[T]):
    """What to do with a run, and what to answer if that fails."""

    name: str
    """`module:attribute` of this object, for the worker process."""
    answer: type[T]
    work: Callable[[JobRequest], T]
    crashed: Callable[[str, float], T]
    """Make the answer for a process that died or hit a limit: reason, seconds."""
    fault: Callable[[str, str], T]
    """Make the answer for an error of replaytool itself: message, place."""
    is_last: Callable[[T], bool]
    """Whether the worker process must not be used after this answer."""
    is_shaky: Callable[[T], bool]
    """Whether the worker process may be about to end after this answer."""


def find_job(name: str) -> WorkerJob[object]:
    """Return the job of this name."""
    module, _, attribute = name.partition(":")
    found: WorkerJob[object] = getattr(importlib.import_module(module), attribute)
    return found
