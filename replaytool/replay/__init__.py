"""Replaying recorded runs against code: the one door to the engines.

Adding an engine is one file with a function `replay(run, code, options)` and one row in ENGINES.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from replaytool.errors import ReplaytoolError
from replaytool.history import Run
from replaytool.replay.code import Code, CodeSpec, load
from replaytool.replay.options import Options
from replaytool.verdict import Verdict

__all__ = ["ENGINES", "Code", "CodeSpec", "Options", "load", "replay"]

# By the engine of the run, and by the name that `--engine` gives.
ENGINES: dict[tuple[str, str], str] = {("temporal", "sdk"): "replaytool.replay.temporal.sdk"}


def replay(run: Run, code: Code, options: Options | None = None, engine: str = "sdk") -> Verdict:
    """Replay one run in this process. Code that takes its process along is for `replay.pool`."""
    place = ENGINES.get((run.engine, engine))
    if place is None:
        if not any(name == run.engine for name, _ in ENGINES):
            return Verdict("unverified", f"runs of {run.engine} cannot be replayed")
        names = ", ".join(sorted(name for of, name in ENGINES if of == run.engine))
        raise ReplaytoolError(f"there is no engine {engine!r}", f"choose one of: {names}")
    driver = cast(Callable[[Run, Code, Options], Verdict], importlib.import_module(place).replay)
    return driver(run, code, options or Options())
