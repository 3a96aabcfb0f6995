"""Replaying recorded runs against code: the one door to the engines.

Adding an engine is a function that takes a run, code and options and gives a verdict, and one row in ENGINES.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from replaytool.errors import ReplaytoolError
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from replaytool.replay.code.user_code import Code, CodeSpec, load_code
from replaytool.replay.options import Options

__all__ = ["ENGINES", "FURTHER", "Code", "CodeSpec", "Options", "load_code", "replay"]

# By the engine of the run, and by the name that `--engine` gives.
ENGINES: dict[tuple[str, str], str] = {
    ("temporal", name): f"replaytool.engines.temporal.replay.strategies:replay_{name}"
    for name in ("auto", "direct", "sdk", "both")
}

# What adds to a verdict all that does not fit behind its divergence.
FURTHER: dict[str, str] = {"temporal": "replaytool.engines.temporal.replay.all_mismatches:add_later_mismatches"}


def replay(run: Run, code: Code, options: Options | None = None, engine: str = "auto") -> Verdict:
    """Replay one run in this process. Code that takes its process along is for `replay.pool`."""
    place = ENGINES.get((run.engine, engine))
    if place is None:
        if not any(name == run.engine for name, _ in ENGINES):
            return Verdict("unverified", f"runs of {run.engine} cannot be replayed")
        names = ", ".join(sorted(name for of, name in ENGINES if of == run.engine))
        raise ReplaytoolError(f"there is no engine {engine!r}", f"choose one of: {names}")
    if asyncio._get_running_loop() is not None:
        return _elsewhere(lambda: replay(run, code, options, engine))
    options = options or Options()
    driver = cast(Callable[[Run, Code, Options], Verdict], _at(place))
    verdict = driver(run, code, options)
    if options.every_mismatch and verdict.divergence is not None:
        go_on = cast(Callable[[Verdict, Run, Code, Options], Verdict], _at(FURTHER[run.engine]))
        return go_on(verdict, run, code, options)
    return verdict


def _elsewhere(call: Callable[[], Verdict]) -> Verdict:
    """Call it on a thread of its own: where a loop is running, instances would take it away."""
    with ThreadPoolExecutor(1, "replaytool-replay") as pool:
        return pool.submit(call).result()


def _at(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
