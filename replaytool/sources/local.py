"""Files, folders, patterns and standard input. Formats are found by content, so every file is offered."""

from __future__ import annotations

import functools
import itertools
import os
import stat
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from replaytool.errors import NOTHING, USAGE, ReplaytoolError
from replaytool.model.history import Hints
from replaytool.sources.base import Source
from replaytool.sources.compressed import unwrapped
from replaytool.sources.file_names import Pattern, hints_from_name, is_pattern, split_pattern
from replaytool.text import visible

BESIDE = (".py", ".pyi", ".pyc", ".md", ".rst", ".toml", ".cfg", ".html", ".png", ".svg", ".duckdb", ".wal")
"""What people keep beside histories. A folder's walk passes it over; named or matched by a pattern it is offered."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A file, or a folder that could not be looked into: one closed door must not hide the others."""

    path: str
    error: OSError | None = None


def standard_input(stdin: BinaryIO | None = None) -> Source:
    """What is piped in. It stays open after the source is closed: it is not ours."""
    return Source("<stdin>", lambda: unwrapped(stdin or sys.stdin.buffer, closes=False), Hints(name="<stdin>"))


def open_uri(uri: str) -> Iterator[Source]:
    """The same as a path, spelled file:///…, where a special character may be written as %20."""
    return open_paths(path_of_uri(uri))


def path_of_uri(uri: str) -> str:
    """The path in file:///…; another machine's files are not reached this way."""
    parts = urllib.parse.urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise ReplaytoolError(
            f"{visible(uri)} names a file on another machine", "a path on this one is written file:///…"
        )
    # Not parts.path: in the name of a file, ? and # are letters.
    return urllib.request.url2pathname(uri.split("://", 1)[1].removeprefix(parts.netloc))


def open_paths(path: str) -> Iterator[Source]:
    """One file, everything in a folder, or what a pattern matches."""
    try:
        info = os.stat(path)
    except (OSError, ValueError) as error:
        if is_pattern(path):
            return _open_pattern(path)
        raise _missing(path, error) from error
    # Not only regular files: a shell's <(command) is a pipe, and the person named it.
    return _open_folder(path) if stat.S_ISDIR(info.st_mode) else iter([_source(_Found(path))])


def _missing(path: str, error: OSError | ValueError) -> ReplaytoolError:
    name = visible(path)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ReplaytoolError(
            f"there is no file or folder {name}",
            "give a file, a folder, a pattern such as 'runs/**/*.json', or -",
        )
    return ReplaytoolError(f"{name} cannot be read: {_reason(error)}", "check the name and its permissions")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _open_folder(folder: str) -> Iterator[Source]:
    left_out = "hidden files and folders, empty files, code and documentation are left out"
    return _sources(folder, Pattern([]), f"there are no files with histories in {visible(folder)}", left_out, BESIDE)


def _open_pattern(pattern: str) -> Iterator[Source]:
    base, parts = split_pattern(pattern.replace(os.altsep or os.sep, os.sep).split(os.sep))
    folder = os.sep.join(base) or (os.sep if base else "")
    left_out = "hidden and empty files are left out; ** stands for any number of folders"
    return _sources(folder, Pattern(parts), f"nothing matches the pattern {visible(pattern)}", left_out)


def _sources(folder: str, pattern: Pattern, nothing: str, hint: str, beside: tuple[str, ...] = ()) -> Iterator[Source]:
    files = (found for found in _files(folder, pattern) if not found.path.endswith(beside))
    first = next(files, None)
    if first is None:
        raise ReplaytoolError(nothing, hint, NOTHING if beside else USAGE)
    if first.error is not None and first.path == folder:
        if isinstance(first.error, FileNotFoundError):
            raise ReplaytoolError(nothing, f"there is no folder {visible(folder)}")
        raise ReplaytoolError(
            f"the folder {visible(folder)} cannot be read: {_reason(first.error)}",
            "check its permissions: listing it takes both r and x",
        )
    return map(_source, itertools.chain([first], files))


def _files(folder: str, pattern: Pattern) -> Iterator[_Found]:
    """What the pattern means below the folder, by name; a folder that links lead back to is met once."""
    seen: set[tuple[int, int]] = set()
    pending = [(folder, pattern.start)]
    while pending:
        path, state = pending.pop()
        try:
            info = os.stat(path or os.curdir)
            if not stat.S_ISDIR(info.st_mode):
                if pattern.is_match(state) and stat.S_ISREG(info.st_mode) and info.st_size:
                    yield _Found(path)
            elif (identity := (info.st_dev, info.st_ino)) not in seen:
                seen.add(identity)
                names = sorted(os.listdir(path or os.curdir), reverse=True)
                below = ((os.path.join(path, name), pattern.step(state, name)) for name in names)
                pending += [(child, after) for child, after in below if after]
        except OSError as error:
            # A link that leads nowhere is told as well: its target may wait to be fetched.
            if pattern.is_match(state) or path == folder:
                yield _Found(path, error)


def _source(found: _Found) -> Source:
    # A name that is no UTF-8 must still fit into a table and onto a terminal.
    name = os.fsencode(found.path).decode("utf-8", "backslashreplace")
    return Source(name, functools.partial(_open, found), hints_from_name(name))


def _open(found: _Found) -> BinaryIO:
    if found.error is not None:
        raise found.error
    # Unbuffered, since the wrapper reads a whole head at once.
    return unwrapped(open(found.path, "rb", buffering=0))
