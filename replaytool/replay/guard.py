"""The world is shut out: while workflow code runs, what reaches for it is told, and what would change it is refused.

Python's audit events tell of sockets, processes and files. Clocks and random numbers raise none, so calls of theirs
are seen by a profile function, on the workflow's thread and during its activations only.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from replaytool.verdict import CallSite, Hazard

_LIMIT = 50


class Refused(PermissionError):
    """What workflow code gets instead of the world."""


@dataclass
class Watch:
    """What one replay has reached for."""

    site: Callable[[FrameType | None], CallSite | None]
    refuse: bool = True
    found: dict[tuple[str, str, int], Hazard] = field(default_factory=dict)

    def note(self, what: str, detail: str, refused: bool, frame: FrameType | None) -> None:
        """Remember one hazard per kind and line."""
        site = self.site(frame)
        key = (what, site.file if site else "", site.line if site else 0)
        if len(self.found) < _LIMIT:
            self.found.setdefault(key, Hazard(what, site, detail, refused))

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """In the order in which they were met."""
        return tuple(self.found.values())


_active = threading.local()
_installed = False
this_thread = threading.get_ident


@contextmanager
def watched(watch: Watch | None) -> Iterator[None]:
    """Watch this thread; nothing is watched where there is no watch."""
    if watch is None:
        yield
        return
    _install()
    before = sys.getprofile()
    _active.watch = watch
    sys.setprofile(_profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        _active.watch = None


def _install() -> None:
    """An audit hook stays for as long as the process: once is enough."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)


def _writes(args: tuple[Any, ...]) -> bool:
    """Whether an `open` event is about writing."""
    mode, flags = args[1], args[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _always(args: tuple[Any, ...]) -> bool:
    return True


# What is refused, and when; whatever else Python audits is harmless to a replay, or too common to mean anything.
_DANGEROUS: dict[str, Callable[[tuple[Any, ...]], bool]] = {
    "open": _writes,
    **dict.fromkeys(
        (
            "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
            "socket.gethostbyname", "socket.gethostbyaddr", "subprocess.Popen", "os.system", "os.exec", "os.fork",
            "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill", "os.killpg", "os.remove",
            "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
            "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile", "sqlite3.connect", "ftplib.connect",
            "smtplib.connect", "urllib.Request", "http.client.connect", "webbrowser.open", "tempfile.mkstemp",
            "tempfile.mkdtemp", "pty.spawn",
        ),
        _always,
    ),
}  # fmt: skip


def _hook(event: str, args: tuple[Any, ...]) -> None:
    judge = _DANGEROUS.get(event)
    if judge is None:
        return
    watch: Watch | None = getattr(_active, "watch", None)
    if watch is None or not judge(args):
        return
    _active.watch = None  # what is done to tell of it must not be told of
    try:
        detail = _detail(event, args)
        watch.note(event, detail, watch.refuse, sys._getframe(1))
    finally:
        _active.watch = watch
    if watch.refuse:
        raise Refused(f"replaytool refused {event} ({detail}): workflow code must leave the world alone")


def _detail(event: str, args: tuple[Any, ...]) -> str:
    shown = args[1:2] if event.startswith("socket.") and len(args) > 1 and "name" not in event else args[:1]
    return ", ".join(str(one)[:200] for one in shown)


# The clock and chance, by the function that the profiler shows.
_BUILTINS: dict[Any, str] = {
    time.time: "time.time",
    time.time_ns: "time.time_ns",
    time.monotonic: "time.monotonic",
    time.monotonic_ns: "time.monotonic_ns",
    time.perf_counter: "time.perf_counter",
    time.perf_counter_ns: "time.perf_counter_ns",
    time.sleep: "time.sleep",
    os.urandom: "os.urandom",
}
_DATES = {"now", "utcnow", "today"}
_CHANCE = {random.__file__, uuid.__file__, random.__file__.replace("random.py", "secrets.py")}
_GLOBAL_RANDOM = getattr(random, "_inst", None)


def _profile(frame: FrameType, event: str, arg: Any) -> None:
    if event != "c_call":
        return
    what = _clock(arg)
    if what is None:
        return
    caller: FrameType | None = frame
    while caller is not None and caller.f_code.co_filename in _CHANCE:
        what = f"{os.path.basename(caller.f_code.co_filename)[:-3]}.{caller.f_code.co_name}"
        caller = caller.f_back
    watch: Watch | None = getattr(_active, "watch", None)
    if watch is None or caller is None:
        return
    site = watch.site(caller)
    # A library that looks at the clock for itself says nothing about the workflow.
    if site is not None and site.line == caller.f_lineno and site.function.endswith(caller.f_code.co_name):
        watch.note(what, "", False, caller)


def _clock(called: Any) -> str | None:
    owner = getattr(called, "__self__", None)
    name = called.__name__
    if isinstance(owner, random.Random):
        return f"random.{name}" if owner is _GLOBAL_RANDOM or isinstance(owner, random.SystemRandom) else None
    if name in _DATES and isinstance(owner, type) and owner.__module__ == "datetime":
        return f"{owner.__name__}.{name}"
    try:
        return _BUILTINS.get(called)
    except TypeError:
        return None
