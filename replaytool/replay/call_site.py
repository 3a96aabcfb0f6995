"""Which line of the user's code is at work: frames of the SDK, asyncio and the standard library are passed over."""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import temporalio

import replaytool
from replaytool.model.verdict import CallSite

_CHAIN = 12
_ENGINE, _LIBRARY, _USER = 0, 1, 2


def _folder(module: Any) -> str:
    return str(Path(module.__file__).resolve().parent) + os.sep


_ENGINES = (_folder(temporalio), _folder(asyncio), _folder(replaytool))
_STANDARD = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = tuple({sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")})
_claimed: tuple[str, ...] = ()


def claim(folders: tuple[str, ...]) -> None:
    """Name the folders of the workflow code: installed there or not, their frames are the user's."""
    global _claimed
    _claimed = tuple(folder + os.sep for folder in folders)
    _rank.cache_clear()
    _known.clear()


@lru_cache(maxsize=4096)
def _rank(filename: str) -> int:
    if filename.startswith("<") or filename == "workflow_sandbox.py" or filename.startswith(_ENGINES):
        return _ENGINE
    if _claimed and filename.startswith(_claimed):
        return _USER
    if filename.startswith(_INSTALLED):
        return _LIBRARY
    return _ENGINE if filename.startswith(_STANDARD) else _USER


@lru_cache(maxsize=4096)
def shown_path(filename: str) -> str:
    """A file as a person in this folder would name it."""
    try:
        relative = os.path.relpath(filename)
    except ValueError:
        return filename
    return filename if relative.startswith("..") else relative


def is_user(code: CodeType) -> bool:
    """Whether this is code of the user's, as against code that theirs calls."""
    return is_users(code.co_filename)


def is_users(filename: str) -> bool:
    """Whether a file holds code of the user's."""
    return _rank(filename) == _USER


def of_frames(frames: Iterable[tuple[CodeType, int]]) -> CallSite | None:
    """The site of the innermost user's line among these, innermost first; a library's where there is no user's."""
    user: list[tuple[CodeType, int]] = []
    library: list[tuple[CodeType, int]] = []
    for code, line in frames:
        rank = _rank(code.co_filename)
        if rank == _USER and len(user) < _CHAIN:
            user.append((code, line))
        elif rank == _LIBRARY and len(library) < _CHAIN:
            library.append((code, line))
    sites = [CallSite(shown_path(code.co_filename), line, name_of(code)) for code, line in user or library]
    if not sites:
        return None
    return CallSite(sites[0].file, sites[0].line, sites[0].function, tuple(sites[1:]))


def joined(inner: CallSite, outer: CallSite) -> CallSite:
    """A site in a task, with the line that began the task at the end of its chain."""
    alone = CallSite(outer.file, outer.line, outer.function)
    return CallSite(inner.file, inner.line, inner.function, (*inner.chain, alone, *outer.chain)[:_CHAIN])


def name_of(code: CodeType) -> str:
    """A function as a person would name it."""
    return code.co_qualname.replace(".<locals>", "")


def of_stack(frame: FrameType | None, until: CodeType | None = None) -> CallSite | None:
    """The site at this point of a running stack."""
    frames = []
    while frame is not None and frame.f_code is not until:
        frames.append(frame)
        frame = frame.f_back
    key = tuple([(id(one.f_code), one.f_lasti) for one in frames])
    known = _known.get(key)
    if known is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        codes = tuple(one.f_code for one in frames)
        known = _known[key] = (codes, of_frames([(one.f_code, one.f_lineno) for one in frames]))
    return known[1]


_MOST_KNOWN = 4096
_known: dict[tuple[tuple[int, int], ...], tuple[tuple[CodeType, ...], CallSite | None]] = {}
"""A loop comes by the same lines again and again. The code is kept with its site, so that its id stays its own."""


def of_exception(error: BaseException | None) -> CallSite | None:
    """Where an exception was raised, in the user's code; the exception that led to it where it has no lines itself."""
    while error is not None:
        found = of_frames(iter(reversed(list(_lines(error.__traceback__)))))
        if found is not None:
            return found
        error = error.__cause__ or error.__context__
    return None


def _lines(trace: TracebackType | None) -> Iterator[tuple[CodeType, int]]:
    while trace is not None:
        yield trace.tb_frame.f_code, trace.tb_lineno
        trace = trace.tb_next


def of_waiting(coroutine: Any) -> CallSite | None:
    """Where a suspended coroutine waits, down the chain of what it awaits."""
    lines = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            lines.append((frame.f_code, frame.f_lineno))
        coroutine = getattr(coroutine, "cr_await", None)
    return of_frames(reversed(lines))


def of_thread(thread: int, until: CodeType | None = None) -> CallSite | None:
    """Where another thread is at this moment."""
    return of_stack(sys._current_frames().get(thread), until)


def own_traceback(error: BaseException | None) -> str:
    """The lines of an exception's traceback that are the user's, and what it says."""
    if error is None:
        return ""
    summary = traceback.TracebackException.from_exception(error)
    summary.stack = traceback.StackSummary.from_list([one for one in summary.stack if _rank(one.filename) == _USER])
    return "".join(summary.format(chain=False)).rstrip()
