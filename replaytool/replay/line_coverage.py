"""Record which lines of the user's code a replay reaches, and each step from line to line.

Only functions are traced: code at module and class level runs at import, the same for every run. Python calls back for
each function call; for code that is not the user's this call is the whole cost.
"""

from __future__ import annotations

import dis
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from types import CodeType, FrameType, ModuleType
from typing import Any

END = -1
"""The target of a step that leaves its function."""
_ENDS_OF_LOOPS = (StopIteration, StopAsyncIteration)
"""Python reports these for an `await` and a loop that end normally."""
_MODULES = (".py", ".pyc", ".so", ".pth")
_RETURNS = {dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in dis.opmap}
"""Python 3.12 and 3.13 return a constant with an instruction of its own."""
Trace = Callable[[FrameType, str, Any], Any]


@dataclass(frozen=True, slots=True)
class ReplayCoverage:
    """What one replay reached, by file."""

    lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    steps: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """From line to line within one function; END where it returned."""
    shared: tuple[str, ...] = ()
    """Files of modules that all runs of a process share: a run may build on what another did there."""
    read: tuple[str, ...] = ()
    """Files opened during the replay, modules excluded."""


@dataclass
class _FileTrace:
    lines: set[int] = field(default_factory=set)
    steps: set[tuple[int, int]] = field(default_factory=set)


class CoverageTracer:
    """Records one replay, on all threads that run it."""

    def __init__(self, is_own: Callable[[CodeType], bool]) -> None:
        self._is_own = is_own
        self._places: dict[str, _FileTrace | None] = {}
        self._shared: set[str] = set()
        self.read: set[str] = set()

    def trace_call(self, frame: FrameType, event: str, arg: object) -> Trace | None:
        """Trace function for `sys.settrace`: called when a function is entered or resumed."""
        code = frame.f_code
        try:
            place = self._places[code.co_filename]
        except KeyError:
            place = self._places[code.co_filename] = self._trace_of_file(frame)
        if place is None or not code.co_flags & inspect.CO_OPTIMIZED:
            return None
        # A lambda or comprehension stands inside one line and leads to no other line of its function.
        return _line_tracer(place) if code.co_name.startswith("<") else _step_tracer(place, frame.f_lineno)

    def _trace_of_file(self, frame: FrameType) -> _FileTrace | None:
        if not self._is_own(frame.f_code):
            return None
        modules: Mapping[str, ModuleType] = getattr(sys.modules, "orig", sys.modules)
        module = modules.get(frame.f_globals.get("__name__", ""))
        if module is not None and vars(module) is frame.f_globals:
            self._shared.add(frame.f_code.co_filename)
        return _FileTrace()

    def recorded_coverage(self) -> ReplayCoverage:
        """Return everything recorded so far."""
        found = {name: place for name, place in sorted(self._places.items()) if place is not None and place.lines}
        return ReplayCoverage(
            {name: tuple(sorted(place.lines)) for name, place in found.items()},
            {name: tuple(sorted(place.steps)) for name, place in found.items()},
            tuple(sorted(self._shared & found.keys())),
            tuple(sorted(self.read)),
        )


def _line_tracer(place: _FileTrace) -> Trace:
    def trace_line(frame: FrameType, event: str, arg: object) -> Trace:
        place.lines.add(frame.f_lineno)
        return trace_line

    return trace_line


def _step_tracer(place: _FileTrace, line: int) -> Trace:
    """Return a trace function for one call of a function: it records steps until the function returns or waits."""
    before: int | None = line

    def trace_step(frame: FrameType, event: str, arg: Any) -> Trace:
        nonlocal before
        if event == "line":
            now = frame.f_lineno
            place.lines.add(now)
            if before is not None:
                place.steps.add((before, now))
            before = now
        elif event == "exception" and arg[0] not in _ENDS_OF_LOOPS:
            before = None  # an exception jumps: the line itself has no such step
        elif event == "return" and before is not None and frame.f_code.co_code[frame.f_lasti] in _RETURNS:
            place.steps.add((before, END))
        return trace_step

    return trace_step


_tracer: CoverageTracer | None = None
_NOTHING: AbstractContextManager[None] = nullcontext()


@contextmanager
def record_coverage(is_own: Callable[[CodeType], bool]) -> Iterator[CoverageTracer]:
    """Record everything replayed inside this block."""
    global _tracer
    _install_audit_hook()
    _tracer = CoverageTracer(is_own)
    try:
        yield _tracer
    finally:
        _tracer = None


@contextmanager
def pause_coverage() -> Iterator[None]:
    """Record nothing inside this block: code runs there with results that no record holds."""
    global _tracer
    kept, _tracer = _tracer, None
    try:
        yield
    finally:
        _tracer = kept


@cache
def _install_audit_hook() -> None:
    """Install the audit hook once: Python cannot remove it."""
    sys.addaudithook(_record_opened_file)


def _record_opened_file(event: str, args: tuple[object, ...]) -> None:
    if event == "open" and _tracer is not None and isinstance(args[0], str) and not args[0].endswith(_MODULES):
        _tracer.read.add(os.path.abspath(args[0]))


def trace_activation() -> AbstractContextManager[None]:
    """Return the context for each activation, on the thread that runs it; without a recording it does nothing."""
    return _NOTHING if _tracer is None else _trace_with(_tracer)


@contextmanager
def _trace_with(tracer: CoverageTracer) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(tracer.trace_call)
    try:
        yield
    finally:
        sys.settrace(before)
