"""Find the line of the user's code that is running; frames of SDK, asyncio and standard library are skipped."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, TracebackType

import replaytool
from replaytool.model.verdict import CallSite

_CHAIN = 12
_ENGINE, _LIBRARY, _USER = 0, 1, 2


def _package_folder(file: str) -> str:
    return str(Path(file).resolve().parent) + os.sep


_OWN = (_package_folder(asyncio.__file__), _package_folder(replaytool.__file__))
_skipped: tuple[str, ...] = ()
_STANDARD = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = tuple({sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")})
_LIBRARIES = frozenset({"site-packages", "dist-packages"})
_claimed: tuple[str, ...] = ()


def skip_folders(folders: Iterable[str]) -> None:
    """Never take a line below these folders for a call site: they hold an engine's library."""
    global _skipped
    more = tuple(folder for folder in folders if folder not in _skipped)
    if more:
        _skipped += more
        _rank_file.cache_clear()
        _known.clear()


def claim_user_folders(folders: tuple[str, ...]) -> None:
    """Set the folders of the workflow code: their frames are the user's, even inside site-packages."""
    global _claimed
    _claimed = tuple(folder + os.sep for folder in folders)
    _rank_file.cache_clear()
    _known.clear()


@lru_cache(maxsize=4096)
def _rank_file(filename: str) -> int:
    if filename.startswith("<") or filename == "workflow_sandbox.py" or filename.startswith((*_OWN, *_skipped)):
        return _ENGINE
    if _claimed and filename.startswith(_claimed):
        root = max((one for one in _claimed if filename.startswith(one)), key=len)
        # A virtual environment may lie in the project's folder.
        return _USER if _LIBRARIES.isdisjoint(filename[len(root) :].split(os.sep)) else _LIBRARY
    if filename.startswith(_INSTALLED):
        return _LIBRARY
    return _ENGINE if filename.startswith(_STANDARD) else _USER


@lru_cache(maxsize=4096)
def relative_path(filename: str) -> str:
    """Return the file's path relative to the current folder if it is inside it."""
    try:
        relative = os.path.relpath(filename)
    except ValueError:
        return filename
    return filename if relative.startswith("..") else relative


def is_user_code(code: CodeType) -> bool:
    """Return whether this is the user's own code, not a library that it calls."""
    return is_user_file(code.co_filename)


def is_user_file(filename: str) -> bool:
    """Return whether the file holds the user's own code."""
    return _rank_file(filename) == _USER


def is_library_file(filename: str) -> bool:
    """Return whether the file belongs to an installed library that is not the engine's."""
    return _rank_file(filename) == _LIBRARY


def site_of_frames(frames: Iterable[tuple[CodeType, int]]) -> CallSite | None:
    """Return the innermost user frame (a library's if there is none) with its callers, from innermost-first frames."""
    user: list[tuple[CodeType, int]] = []
    library: list[tuple[CodeType, int]] = []
    for code, line in frames:
        rank = _rank_file(code.co_filename)
        if rank == _USER and len(user) < _CHAIN:
            user.append((code, line))
        elif rank == _LIBRARY and len(library) < _CHAIN:
            library.append((code, line))
    sites = [CallSite(relative_path(code.co_filename), line, function_name(code)) for code, line in user or library]
    if not sites:
        return None
    return CallSite(sites[0].file, sites[0].line, sites[0].function, tuple(sites[1:]))


def is_user_site(site: CallSite | None) -> bool:
    """Return whether the site is a line of the user's own code."""
    return site is not None and is_user_file(os.path.abspath(site.file))


def join_sites(inner: CallSite | None, outer: CallSite | None) -> CallSite | None:
    """Return the site of a task, with the line that started the task at the end of its chain.

    If only that line is the user's, it comes first, and the library's lines below it.
    """
    if inner is None or outer is None:
        return inner or outer
    if is_user_site(outer) and not is_user_site(inner):
        inner, outer = outer, inner
    alone = CallSite(outer.file, outer.line, outer.function)
    return CallSite(inner.file, inner.line, inner.function, (*inner.chain, alone, *outer.chain)[:_CHAIN])


def function_name(code: CodeType) -> str:
    """Return the qualified name of a function, without `<locals>`."""
    return code.co_qualname.replace(".<locals>", "")


def site_of_stack(frame: FrameType | None, until: CodeType | None = None) -> CallSite | None:
    """Return the site of a running stack, up to the frame that runs `until`."""
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
        known = _known[key] = (codes, site_of_frames([(one.f_code, one.f_lineno) for one in frames]))
    return known[1]


_MOST_KNOWN = 4096
_known: dict[tuple[tuple[int, int], ...], tuple[tuple[CodeType, ...], CallSite | None]] = {}
"""Sites by the stack's instructions, because loops ask for the same ones again.

The code objects are stored too, so that their ids stay unique.
"""


def site_of_exception(error: BaseException | None) -> CallSite | None:
    """Return where the user's code raised the exception, or its cause if it has no user lines."""
    while error is not None:
        found = site_of_frames(iter(reversed(list(_traceback_lines(error.__traceback__)))))
        if found is not None:
            return found
        error = error.__cause__ or error.__context__
    return None


def _traceback_lines(trace: TracebackType | None) -> Iterator[tuple[CodeType, int]]:
    while trace is not None:
        yield trace.tb_frame.f_code, trace.tb_lineno
        trace = trace.tb_next


def site_of_coroutine(coroutine: object) -> CallSite | None:
    """Return where a suspended coroutine waits, at the end of its chain of awaits."""
    lines = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            lines.append((frame.f_code, frame.f_lineno))
        coroutine = getattr(coroutine, "cr_await", None)
    return site_of_frames(reversed(lines))


def site_of_waiter(awaited: object) -> CallSite | None:
    """Return the line of the coroutine that this future would wake up; None under `gather`, which is no coroutine."""
    for callback, _ in getattr(awaited, "_callbacks", None) or ():
        task = getattr(callback, "__self__", None)
        if isinstance(task, asyncio.Task):
            return site_of_coroutine(task.get_coro())
    return None


def site_of_thread(thread: int, until: CodeType | None = None) -> CallSite | None:
    """Return where another thread is running now."""
    return site_of_stack(sys._current_frames().get(thread), until)


def site_of_class(kind: type | Callable[..., object]) -> CallSite | None:
    """Return where a workflow is defined; None if its source is not known."""
    try:
        line, file = inspect.getsourcelines(kind)[1], inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None
    return CallSite(relative_path(file), line, kind.__qualname__) if file else None


def user_traceback(error: BaseException | None) -> str:
    """Format an exception with only the user's lines of its traceback."""
    if error is None:
        return ""
    summary = traceback.TracebackException.from_exception(error)
    summary.stack = traceback.StackSummary.from_list(
        [one for one in summary.stack if _rank_file(one.filename) == _USER]
    )
    return "".join(summary.format(chain=False)).rstrip()
