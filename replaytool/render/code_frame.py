"""The user's code around a line, as compilers show it."""

from __future__ import annotations

import linecache
import os
from pathlib import Path

from replaytool.model.verdict import CallSite
from replaytool.text import visible

_AROUND = 2


def place(site: CallSite) -> str:
    """Where it is, as editors and terminals link it."""
    return visible(f"{relative(site.file)}:{site.line} in {site.function}")


def relative(file: str) -> str:
    """The file as seen from here, where it lies below; else as it is."""
    try:
        path = os.path.relpath(file)
    except ValueError:
        return file
    return file if path.startswith("..") else Path(path).as_posix()


def in_repository(file: str) -> str:
    """The file as the repository names it, which is how CI systems link it; outside of one, as seen from here."""
    path = Path(file).absolute()
    root = next((folder for folder in path.parents if (folder / ".git").exists()), None)
    return path.relative_to(root).as_posix() if root is not None else relative(file)


def excerpt(site: CallSite) -> list[str]:
    """The lines around the call with the line itself marked; nothing where the file is not there."""
    lines = linecache.getlines(site.file)
    if not 0 < site.line <= len(lines):
        return []
    first = max(site.line - _AROUND, 1)
    last = min(site.line + _AROUND, len(lines))
    width = len(str(last))
    result = [f"{'':{width}} |"]
    for number in range(first, last + 1):
        mark = ">" if number == site.line else "|"
        result.append(f"{number:{width}} {mark} {visible(lines[number - 1].rstrip().expandtabs(4))}".rstrip())
    return [*result, f"{'':{width}} |"]
