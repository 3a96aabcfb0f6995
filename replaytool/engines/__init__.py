"""Engines: each records runs of workflows in its own way and is one folder and one row.

To add an engine, write a folder with a class that derives from `engines.base.Engine`, and add its name and its object
to ENGINES; or put the object under the entry point group `replaytool.engines` of a package of its own. An engine is
imported when a run of it is there. Nothing outside of this folder may name an engine's modules.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

from replaytool.engines.base import Engine
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event, Run
from replaytool.model.recorded_step import RecordedStep
from replaytool.model.verdict import Verdict
from replaytool.replay.code.code_spec import CodeSpec, make_code_spec
from replaytool.replay.code.project_reader import ProjectReader
from replaytool.replay.code.user_code import Code, CodeFinder, import_code
from replaytool.replay.options import Options

__all__ = [
    "ENGINES",
    "Code",
    "CodeSpec",
    "Engine",
    "Options",
    "engine_names",
    "engine_of",
    "load_code",
    "make_code_spec",
    "open_project",
    "quick_strategy",
    "read_history",
    "read_steps",
    "replay",
    "require_part",
]

ENGINES: dict[str, str] = {
    "temporal": "replaytool.engines.temporal:ENGINE",
}
ENTRY_POINTS = "replaytool.engines"

T = TypeVar("T")


@cache
def _list_engines() -> dict[str, str]:
    """The table with what installed packages add to it; a row of our own is never replaced."""
    return {one.name: one.value for one in entry_points(group=ENTRY_POINTS)} | ENGINES


def engine_names() -> list[str]:
    """Return the engines that runs can be of."""
    return sorted(_list_engines())


@cache
def engine_of(name: str) -> Engine:
    """Return the engine of this name; raises ReplaytoolError where there is none."""
    place = _list_engines().get(name)
    if place is None:
        known = ", ".join(engine_names())
        raise ReplaytoolError(
            f"replaytool has no engine {name!r}", f"its engines are {known}", code=ErrorCode.ENGINE_UNKNOWN
        )
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, Engine), f"{place} is no Engine"
    assert found.name == name, f"{place} calls itself {found.name}"
    return found


def require_part(engine: Engine, part: T | None, ability: str) -> T:
    """Return the part, or raise the one error for what an engine cannot do: runs of ENGINE cannot be ABILITY."""
    if part is None:
        raise ReplaytoolError(
            f"runs of {engine.title} cannot be {ability}",
            "`replaytool formats` lists what each engine can do",
            code=ErrorCode.ENGINE_ABILITY,
        )
    return part


def read_history(run: Run, history: bytes) -> Run:
    """Return the run with its events, which travel to child processes as JSON."""
    return engine_of(run.engine).record_reader().read_history(run, history)


def read_steps(run: Run) -> Sequence[RecordedStep]:
    """Return the steps of a run for the store; none if its engine is not installed."""
    return engine_of(run.engine).record_reader().read_steps(run) if run.engine in _list_engines() else ()


def export_history(engine_name: str, format_name: str, events: Sequence[Event]) -> bytes:
    """Return a history in a format of its engine's own tools."""
    engine = engine_of(engine_name)
    return require_part(engine, engine.exports().get(format_name), f"exported as {format_name}")(events)


def load_code(spec: CodeSpec) -> Code:
    """Import all that the spec names, and find the workflows of every engine in it."""
    return import_code(spec, _list_code_finders())


def open_project(folder: Path, exclude: Sequence[str] = ()) -> ProjectReader:
    """Return what reads a project without importing any of it."""
    return ProjectReader(folder.resolve(), _list_code_finders(), exclude)


def _list_code_finders() -> list[CodeFinder]:
    return [finder for name in engine_names() if (finder := engine_of(name).code_finder()) is not None]


def replay(run: Run, code: Code, options: Options | None = None, engine: str = "auto") -> Verdict:
    """Replay one run in this process. Code that takes its process along is for `replaytool.workers`."""
    if run.engine not in _list_engines():
        return Verdict("unverified", f"runs of {run.engine} cannot be replayed")
    found = engine_of(run.engine)
    strategies = found.strategies()
    if not strategies:
        return Verdict("unverified", f"runs of {found.title} cannot be replayed")
    if engine not in strategies:
        names = ", ".join(sorted(strategies))
        raise ReplaytoolError(
            f"there is no engine {engine!r}", f"choose one of: {names}", code=ErrorCode.ENGINE_STRATEGY
        )
    if asyncio._get_running_loop() is not None:
        return _replay_elsewhere(lambda: replay(run, code, options, engine))
    verdict = strategies[engine](run, code.for_run(run), options or Options())
    unseen = tuple(found.list_unseen_parts(run))
    return dataclasses.replace(verdict, cannot_see=unseen) if unseen else verdict


def quick_strategy(engine_names: Iterable[str], asked: str) -> str:
    """Return the strategy for trials whose result is confirmed later: one replay, where `auto` may take two."""
    return (
        "direct" if asked == "auto" and all("direct" in engine_of(one).strategies() for one in engine_names) else asked
    )


def _replay_elsewhere(call: Callable[[], Verdict]) -> Verdict:
    """Call it on a thread of its own: where a loop is running, instances would take it away."""
    with ThreadPoolExecutor(1, "replaytool-replay") as pool:
        return pool.submit(call).result()
