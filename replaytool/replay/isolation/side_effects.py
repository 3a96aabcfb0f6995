"""Watch workflow code for side effects: report what it reads from the world, refuse what would change the world.

Python's audit events cover sockets, processes and files. `clock_and_random` covers what raises no audit event.
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

from replaytool.model.verdict import CallSite, Hazard
from replaytool.replay import call_site as callsite
from replaytool.replay.isolation import clock_and_random as senses

_LIMIT = 50


class SideEffectRefused(PermissionError):
    """Raised in workflow code instead of a side effect."""


@dataclass
class SideEffectWatch:
    """The hazards of one replay."""

    site: Callable[[FrameType | None], CallSite | None]
    refuse: bool = True
    refuses_sockets: bool = False
    """Whether a socket may not even be made: an event loop needs one, and an SDK connects where no audit event is."""
    exempt: str | None = None
    """The folder of an engine's own temporary database: files in it may be written."""
    found: dict[tuple[str, str, int], Hazard] = field(default_factory=dict)
    library_uses: dict[tuple[str, str, int], Hazard] = field(default_factory=dict)
    """Clock reads and random numbers of libraries, by kind and line. What they lead to differs between replays."""

    def record_hazard(self, what: str, detail: str, refused: bool, frame: FrameType | None) -> None:
        """Record one hazard per kind and line."""
        site = self.site(frame)
        key = (what, site.file if site else "", site.line if site else 0)
        if len(self.found) < _LIMIT:
            self.found.setdefault(key, Hazard(what, site, detail, refused))

    def is_exempt(self, event: str, args: tuple[object, ...]) -> bool:
        """Return whether an audit event is about files of the exempt folder and about no others."""
        if self.exempt is None or not event.startswith(_FILE_EVENTS):
            return False
        # The other arguments of `open` are the mode and flags.
        named = args[:1] if event == "open" else args
        paths = [one for one in named if isinstance(one, str | bytes | os.PathLike)]
        return bool(paths) and all(_is_inside(path, self.exempt) for path in paths)

    def record_library_use(self, what: str, frame: FrameType) -> None:
        """Record one use per kind and line of a library."""
        site = callsite.site_of_frames([(frame.f_code, frame.f_lineno)])
        if site is not None and len(self.library_uses) < _LIMIT:
            self.library_uses.setdefault((what, site.file, site.line), Hazard(what, site))

    @property
    def found_hazards(self) -> tuple[Hazard, ...]:
        """The hazards in the order in which they happened."""
        return tuple(self.found.values())


_active = threading.local()
_everywhere: SideEffectWatch | None = None
"""The watch of all threads, for engines that run user code in threads of their own."""
_installed = False
this_thread = threading.get_ident


@contextmanager
def watch_side_effects(watch: SideEffectWatch | None) -> Iterator[None]:
    """Watch this thread inside the block; None watches nothing."""
    if watch is None:
        yield
        return
    install_hooks()
    _active.watch = watch
    try:
        yield
    finally:
        _active.watch = None


@contextmanager
def watch_all_threads(watch: SideEffectWatch) -> Iterator[None]:
    """Watch every thread of the process inside the block, also those that exist already or start later."""
    global _everywhere
    install_hooks()
    assert _everywhere is None, "one replay at a time is watched on all threads"
    _everywhere = watch
    try:
        yield
    finally:
        _everywhere = None


@contextmanager
def refuse_effects_of_import() -> Iterator[None]:
    """Refuse side effects of modules that nobody named, on every thread, while they are imported."""
    if _everywhere is not None:
        yield
        return
    with watch_all_threads(SideEffectWatch(lambda frame: None, refuses_sockets=True)):
        yield


def _find_watch() -> SideEffectWatch | None:
    if getattr(_active, "is_recording", False):
        return None  # recording a hazard must not be watched itself
    watch: SideEffectWatch | None = getattr(_active, "watch", None)
    return watch or _everywhere


def install_hooks() -> None:
    """Install the hooks for the life of the process. A function that was imported by name before is not seen."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_audit_hook)
        senses.install_listener(_record_clock_or_random)


def _opens_for_writing(args: tuple[object, ...]) -> bool:
    """Return whether an `open` event is for writing."""
    mode, flags = args[1], args[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _is_always_refused(args: tuple[object, ...]) -> bool:
    return True


# Audit events that are refused, and when. All others are harmless to a replay, or too common to report.
_DANGEROUS: dict[str, Callable[[tuple[object, ...]], bool]] = {
    "open": _opens_for_writing,
    **dict.fromkeys(
        (
            "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
            "socket.gethostbyname", "socket.gethostbyaddr", "subprocess.Popen", "os.system", "os.exec", "os.fork",
            "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill", "os.killpg", "os.remove",
            "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
            "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile", "sqlite3.connect", "ftplib.connect",
            "smtplib.connect", "urllib.Request", "http.client.connect", "webbrowser.open", "tempfile.mkstemp",
            "tempfile.mkdtemp", "pty.spawn", "socket.__new__",
        ),
        _is_always_refused,
    ),
}  # fmt: skip


_FILE_EVENTS = (
    "open", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile", "sqlite3.connect", "tempfile.",
)  # fmt: skip


def _audit_hook(event: str, args: tuple[object, ...]) -> None:
    judge = _DANGEROUS.get(event)
    if judge is None:
        return
    watch = _find_watch()
    if watch is None or not judge(args) or watch.is_exempt(event, args):
        return
    if event == "socket.__new__" and not watch.refuses_sockets:
        return
    _active.is_recording = True
    try:
        detail = _event_detail(event, args)
        watch.record_hazard(event, detail, watch.refuse, sys._getframe(1))
    finally:
        _active.is_recording = False
    if watch.refuse:
        raise SideEffectRefused(f"replaytool refused {event} ({detail}): workflow code must have no side effects")


def _is_inside(path: str | bytes | os.PathLike[str], folder: str) -> bool:
    # Resolved, so that neither `..` nor a link leads out of it. A relative path may be relative to any descriptor.
    text = os.fsdecode(path)
    return os.path.isabs(text) and os.path.realpath(text).startswith(os.path.realpath(folder) + os.sep)


def _event_detail(event: str, args: tuple[object, ...]) -> str:
    shown = args[1:2] if event.startswith("socket.") and len(args) > 1 and "name" not in event else args[:1]
    return ", ".join(str(one)[:200] for one in shown)


_CHANCE = {random.__file__, uuid.__file__, secrets.__file__}


def _record_clock_or_random(what: str, frame: FrameType) -> None:
    """Record a use of the clock or of random numbers if the user's own line made it."""
    watch = _find_watch()
    if watch is None:
        return
    caller: FrameType | None = frame
    while caller is not None and caller.f_code.co_filename in _CHANCE:
        what = f"{os.path.basename(caller.f_code.co_filename)[:-3]}.{caller.f_code.co_name}"
        caller = caller.f_back
    if caller is None:
        return
    if callsite.is_library_file(caller.f_code.co_filename):
        # A library that reads the clock for itself says nothing about the workflow.
        watch.record_library_use(what, caller)
        return
    site = watch.site(caller)
    if site is not None and site.line == caller.f_lineno and site.function.endswith(caller.f_code.co_name):
        watch.record_hazard(what, "", False, caller)
