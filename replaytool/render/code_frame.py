"""Source lines around a call site, in the style of a compiler message."""

from __future__ import annotations

import linecache
import os
from pathlib import Path

from replaytool.model.verdict import CallSite
from replaytool.text import escape_controls

_AROUND = 2


def format_call_site(site: CallSite) -> str:
    """Return FILE:LINE in FUNCTION, which editors and terminals turn into a link."""
    return escape_controls(f"{make_path_relative(site.file)}:{site.line} in {site.function}")


def make_path_relative(file: str) -> str:
    """Return the path relative to the working directory if it lies below it; an address and others unchanged."""
    if "://" in file:
        return file
    try:
        path = os.path.relpath(file)
    except ValueError:
        return file
    return file if path.startswith("..") else Path(path).as_posix()


def path_in_repository(file: str) -> str:
    """Return the path relative to the repository's root, as CI systems link it; else relative to here."""
    path = Path(file).absolute()
    root = next((folder for folder in path.parents if (folder / ".git").exists()), None)
    return path.relative_to(root).as_posix() if root is not None else make_path_relative(file)


def read_source_excerpt(site: CallSite) -> list[str]:
    """Return the lines around a call with the line itself marked; nothing if the file is missing."""
    lines = linecache.getlines(site.file)
    if not 0 < site.line <= len(lines):
        return []
    first = max(site.line - _AROUND, 1)
    last = min(site.line + _AROUND, len(lines))
    width = len(str(last))
    result = [f"{'':{width}} |"]
    for number in range(first, last + 1):
        mark = ">" if number == site.line else "|"
        result.append(f"{number:{width}} {mark} {escape_controls(lines[number - 1].rstrip().expandtabs(4))}".rstrip())
    return [*result, f"{'':{width}} |"]
