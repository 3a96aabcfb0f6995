"""Replaying recorded runs against code: the one door to the engines.

Adding an engine is a function that takes a run, code and options and gives a verdict, and one row in ENGINES.
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
ENGINES: dict[tuple[str, str], str] = {
    ("temporal", name): f"replaytool.replay.temporal.engines:{name}" for name in ("auto", "direct", "sdk", "both")
}


def replay(run: Run, code: Code, options: Options | None = None, engine: str = "auto") -> Verdict:
    """Replay one run in this process. Code that takes its process along is for `replay.pool`."""
    place = ENGINES.get((run.engine, engine))
    if place is None:
        if not any(name == run.engine for name, _ in ENGINES):
            return Verdict("unverified", f"runs of {run.engine} cannot be replayed")
        names = ", ".join(sorted(name for of, name in ENGINES if of == run.engine))
        raise ReplaytoolError(f"there is no engine {engine!r}", f"choose one of: {names}")
    module, _, function = place.partition(":")
    driver = cast(Callable[[Run, Code, Options], Verdict], getattr(importlib.import_module(module), function))
    return driver(run, code, options or Options())
