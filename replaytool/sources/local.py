"""Files, folders, patterns and standard input. Formats are found by content, so every file is tried."""

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

from replaytool.errors import NOTHING, USAGE, ErrorCode, ReplaytoolError
from replaytool.model.history import RunHints
from replaytool.sources.base import ClaimsPlace, HistorySource, make_place_source
from replaytool.sources.compressed import unwrap_stream
from replaytool.sources.file_names import PathPattern, hints_from_name, is_pattern, split_pattern
from replaytool.text import escape_controls

BESIDE = (".py", ".pyi", ".pyc", ".md", ".rst", ".toml", ".cfg", ".html", ".png", ".svg", ".duckdb", ".wal")
"""Files that people keep beside histories. The walk over a folder skips them; a name or a pattern includes them."""


_DESCRIPTORS = ("/dev/fd/", "/proc/")
"""Where the pipe of a shell's <(command) is."""


@dataclass(frozen=True, slots=True)
class _ListedFile:
    """A file, or a folder that could not be listed. One such folder must not hide the others."""

    path: str
    error: OSError | None = None
    is_place: bool = False


def open_standard_input(stdin: BinaryIO | None = None) -> HistorySource:
    """Return standard input as a source. It stays open after reading, because it is not ours."""
    return HistorySource(
        "<stdin>", lambda: unwrap_stream(stdin or sys.stdin.buffer, closes=False), RunHints(name="<stdin>")
    )


def open_file_uri(uri: str) -> Iterator[HistorySource]:
    """Return the sources of a path written as file:///…, where %20 stands for a special character."""
    return open_paths(path_of_uri(uri))


def path_of_uri(uri: str) -> str:
    """Return the path in file:///…; files on another machine are refused."""
    parts = urllib.parse.urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise ReplaytoolError(
            f"{escape_controls(uri)} names a file on another machine",
            "a path on this one is written file:///…",
            code=ErrorCode.SOURCE_OTHER_HOST,
        )
    # Not parts.path: ? and # may be part of a file's name.
    return urllib.request.url2pathname(uri.split("://", 1)[1].removeprefix(parts.netloc))


def open_paths(path: str, claims_place: ClaimsPlace = lambda place: False) -> Iterator[HistorySource]:
    """Return the source of one file, of all files in a folder, or of what a pattern matches."""
    try:
        info = os.stat(path)
    except (OSError, ValueError) as error:
        if is_pattern(path):
            return _open_pattern(path, claims_place)
        raise _explain_missing_path(path, error) from error
    if stat.S_ISFIFO(info.st_mode) and not os.path.realpath(path).startswith(_DESCRIPTORS):
        raise ReplaytoolError(
            f"{escape_controls(path)} is a named pipe (FIFO), which may never end",
            f"read it from standard input: replaytool load - < {escape_controls(path)}",
            code=ErrorCode.SOURCE_UNREADABLE,
        )
    # Not only regular files: a shell's <(command) is a pipe, and the user named it.
    return _open_folder(path, claims_place) if stat.S_ISDIR(info.st_mode) else iter([_make_source(_ListedFile(path))])


def _explain_missing_path(path: str, error: OSError | ValueError) -> ReplaytoolError:
    name = escape_controls(path)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ReplaytoolError(
            f"there is no file or folder {name}",
            "give a file, a folder, a pattern such as 'runs/**/*.json', or -",
            code=ErrorCode.SOURCE_MISSING,
        )
    return ReplaytoolError(
        f"{name} cannot be read: {_error_reason(error)}",
        "check the name and its permissions",
        code=ErrorCode.SOURCE_UNREADABLE,
    )


def _error_reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _open_folder(folder: str, claims_place: ClaimsPlace) -> Iterator[HistorySource]:
    left_out = "hidden files and folders, empty files, code and documentation are left out"
    return _walk_sources(
        folder,
        PathPattern([]),
        claims_place,
        f"there are no files with histories in {escape_controls(folder)}",
        left_out,
        BESIDE,
    )


def _open_pattern(pattern: str, claims_place: ClaimsPlace) -> Iterator[HistorySource]:
    base, parts = split_pattern(pattern.replace(os.altsep or os.sep, os.sep).split(os.sep))
    folder = os.sep.join(base) or (os.sep if base else "")
    left_out = "hidden and empty files are left out; ** stands for any number of folders"
    return _walk_sources(
        folder, PathPattern(parts), claims_place, f"nothing matches the pattern {escape_controls(pattern)}", left_out
    )


def _walk_sources(
    folder: str, pattern: PathPattern, claims_place: ClaimsPlace, nothing: str, hint: str, beside: tuple[str, ...] = ()
) -> Iterator[HistorySource]:
    files = (found for found in _walk_files(folder, pattern, claims_place) if not found.path.endswith(beside))
    first = next(files, None)
    if first is None:
        raise ReplaytoolError(nothing, hint, NOTHING if beside else USAGE, code=ErrorCode.SOURCE_EMPTY)
    if first.error is not None and first.path == folder:
        if isinstance(first.error, FileNotFoundError):
            raise ReplaytoolError(
                nothing, f"there is no folder {escape_controls(folder)}", code=ErrorCode.SOURCE_MISSING
            )
        raise ReplaytoolError(
            f"the folder {escape_controls(folder)} cannot be read: {_error_reason(first.error)}",
            "check its permissions: listing it takes both r and x",
            code=ErrorCode.SOURCE_UNREADABLE,
        )
    return map(_make_source, itertools.chain([first], files))


def _walk_files(folder: str, pattern: PathPattern, claims_place: ClaimsPlace) -> Iterator[_ListedFile]:
    """Yield the matching files in order of names. Links are followed; each folder is visited once.

    A folder that a format claims is one source, and the walk does not enter it.
    """
    seen: set[tuple[int, int]] = set()
    pending = [(folder, pattern.start_state)]
    while pending:
        path, state = pending.pop()
        try:
            info = os.stat(path or os.curdir)
            if not stat.S_ISDIR(info.st_mode):
                if pattern.is_match_state(state) and stat.S_ISREG(info.st_mode) and info.st_size:
                    yield _ListedFile(path)
            elif (identity := (info.st_dev, info.st_ino)) not in seen:
                seen.add(identity)
                if claims_place(path):
                    yield _ListedFile(path, is_place=True)
                    continue
                names = sorted(os.listdir(path or os.curdir), reverse=True)
                below = ((os.path.join(path, name), pattern.step_into(state, name)) for name in names)
                pending += [(child, after) for child, after in below if after]
        except OSError as error:
            # A dangling link is reported too: its target may have to be fetched first.
            if pattern.is_match_state(state) or path == folder:
                yield _ListedFile(path, error)


def _make_source(found: _ListedFile) -> HistorySource:
    # A name that is not UTF-8 must still fit into a table and onto a terminal.
    name = os.fsencode(found.path).decode("utf-8", "backslashreplace")
    if found.is_place:
        return make_place_source(found.path)
    return HistorySource(name, functools.partial(_open_listed_file, found), hints_from_name(name))


def _open_listed_file(found: _ListedFile) -> BinaryIO:
    if found.error is not None:
        raise found.error
    # Unbuffered, since the wrapper reads a whole head at once.
    return unwrap_stream(open(found.path, "rb", buffering=0))
