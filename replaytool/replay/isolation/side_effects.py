"""The world is shut out: while workflow code runs, what reaches for it is told, and what would change it is refused.

Python's audit events tell of sockets, processes and files, and `senses` of clocks and random numbers, which raise none.
"""

from __future__ import annotations

import os
import random
import secrets
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from replaytool.model.verdict import CallSite, Hazard
from replaytool.replay.isolation import clock_and_random as senses

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
    install()
    _active.watch = watch
    try:
        yield
    finally:
        _active.watch = None


def install() -> None:
    """For as long as the process lives. What code imports by name before this is not seen when it calls it."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)
        senses.install(_noticed)


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


_CHANCE = {random.__file__, uuid.__file__, secrets.__file__}


def _noticed(what: str, frame: FrameType) -> None:
    """The clock or chance was looked at: told where the line that did it is one of the workflow's."""
    watch: Watch | None = getattr(_active, "watch", None)
    if watch is None:
        return
    caller: FrameType | None = frame
    while caller is not None and caller.f_code.co_filename in _CHANCE:
        what = f"{os.path.basename(caller.f_code.co_filename)[:-3]}.{caller.f_code.co_name}"
        caller = caller.f_back
    if caller is None:
        return
    site = watch.site(caller)
    # A library that looks at the clock for itself says nothing about the workflow.
    if site is not None and site.line == caller.f_lineno and site.function.endswith(caller.f_code.co_name):
        watch.note(what, "", False, caller)
