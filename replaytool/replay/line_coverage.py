"""Which lines of the user's code a replay comes by, and from which line to which it steps.

Only functions are looked at: what stands at the level of modules and classes runs when they are imported, whatever
the run. Python calls back for each function that is entered; for all that is not the user's, that is all it costs.
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
from types import CodeType, FrameType
from typing import Any

END = -1
"""Where a step leads that leaves its function."""
_ENDS_OF_LOOPS = (StopIteration, StopAsyncIteration)
"""Python tells these of an `await` and of a loop that come to their ends, where nothing goes wrong."""
_MODULES = (".py", ".pyc", ".so", ".pth")
_RETURN = dis.opmap["RETURN_VALUE"]
Trace = Callable[[FrameType, str, Any], Any]


@dataclass(frozen=True, slots=True)
class Reach:
    """What one replay came by, by file."""

    lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    steps: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """From line to line within one function; END where it returned."""
    shared: tuple[str, ...] = ()
    """Files of modules that all runs of a process share: what one run did there, another may build on."""
    read: tuple[str, ...] = ()
    """Files that were opened meanwhile, modules apart."""


@dataclass
class _Place:
    lines: set[int] = field(default_factory=set)
    steps: set[tuple[int, int]] = field(default_factory=set)


class Tracer:
    """Takes down one replay, on whichever threads it runs."""

    def __init__(self, is_own: Callable[[CodeType], bool]) -> None:
        self._is_own = is_own
        self._places: dict[str, _Place | None] = {}
        self._shared: set[str] = set()
        self.read: set[str] = set()

    def entered(self, frame: FrameType, event: str, arg: Any) -> Trace | None:
        """For `sys.settrace`: called for each function that is entered or gone on with."""
        code = frame.f_code
        try:
            place = self._places[code.co_filename]
        except KeyError:
            place = self._places[code.co_filename] = self._place(frame)
        if place is None or not code.co_flags & inspect.CO_OPTIMIZED:
            return None
        # What stands within a line, a lambda for one, leads to no other line of its function.
        return _within(place) if code.co_name.startswith("<") else _follower(place, frame.f_lineno)

    def _place(self, frame: FrameType) -> _Place | None:
        if not self._is_own(frame.f_code):
            return None
        modules: Mapping[str, Any] = getattr(sys.modules, "orig", sys.modules)
        module = modules.get(frame.f_globals.get("__name__", ""))
        if module is not None and vars(module) is frame.f_globals:
            self._shared.add(frame.f_code.co_filename)
        return _Place()

    def reach(self) -> Reach:
        """All that was come by so far."""
        found = {name: place for name, place in sorted(self._places.items()) if place is not None and place.lines}
        return Reach(
            {name: tuple(sorted(place.lines)) for name, place in found.items()},
            {name: tuple(sorted(place.steps)) for name, place in found.items()},
            tuple(sorted(self._shared & found.keys())),
            tuple(sorted(self.read)),
        )


def _within(place: _Place) -> Trace:
    def follow(frame: FrameType, event: str, arg: Any) -> Trace:
        place.lines.add(frame.f_lineno)
        return follow

    return follow


def _follower(place: _Place, line: int) -> Trace:
    """Follows one function from this line on, until it returns or waits."""
    before: int | None = line

    def follow(frame: FrameType, event: str, arg: Any) -> Trace:
        nonlocal before
        if event == "line":
            now = frame.f_lineno
            place.lines.add(now)
            if before is not None:
                place.steps.add((before, now))
            before = now
        elif event == "exception" and arg[0] not in _ENDS_OF_LOOPS:
            before = None  # a step that nothing in the line asked for
        elif event == "return" and before is not None and frame.f_code.co_code[frame.f_lasti] == _RETURN:
            place.steps.add((before, END))
        return follow

    return follow


_tracer: Tracer | None = None
_NOTHING: AbstractContextManager[None] = nullcontext()


@contextmanager
def recording(is_own: Callable[[CodeType], bool]) -> Iterator[Tracer]:
    """Take down what is replayed in here."""
    global _tracer
    _listen()
    _tracer = Tracer(is_own)
    try:
        yield _tracer
    finally:
        _tracer = None


@cache
def _listen() -> None:
    """An audit hook stays for as long as the process: once is enough."""
    sys.addaudithook(_opened)


def _opened(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _tracer is not None and isinstance(args[0], str) and not args[0].endswith(_MODULES):
        _tracer.read.add(os.path.abspath(args[0]))


def traced() -> AbstractContextManager[None]:
    """To be put around each activation, on the thread that it runs on; it does nothing where nobody records."""
    return _NOTHING if _tracer is None else _tracing(_tracer)


@contextmanager
def _tracing(tracer: Tracer) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(tracer.entered)
    try:
        yield
    finally:
        sys.settrace(before)
