"""What the children of the pool do with a run: a job, found by its name in whichever process has to do it.

Adding a job is a function that takes what was asked and answers with a value that msgspec writes and reads, and a
module-level `Job` that names itself.
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
class Asked:
    """One run and all that is known about what to do with it."""

    run: Run
    """Without events."""
    history: bytes
    """As whoever asked put it together."""
    code: Code
    options: Options
    argument: Mapping[str, Any]
    """The same for all runs of a pool, and what is this run's own."""


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """What is done, and what stands for its answer where there is none."""

    name: str
    """`module:attribute`, where the child finds this very value."""
    answer: type[T]
    work: Callable[[Asked], T]
    crashed: Callable[[str, float], T]
    """The process died, or ran out of time or memory: why, and after how many seconds."""
    fault: Callable[[str, str], T]
    """Replaytool itself failed: how, and where."""
    is_last: Callable[[T], bool]
    """Whether a child that had to answer this is not to be used again."""
    is_shaky: Callable[[T], bool]
    """Whether a child that had to answer this may be about to end by itself."""


def named(name: str) -> Job[Any]:
    """The job of this name."""
    module, _, attribute = name.partition(":")
    found: Job[Any] = getattr(importlib.import_module(module), attribute)
    return found
