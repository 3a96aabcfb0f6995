"""A file that is there whole or not at all, also when whoever makes it is killed in its first moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Where to make the file: it gets its name when the block ends, unless somebody else was faster."""
    unfinished = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    try:
        yield unfinished
        _name(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _name(unfinished: Path, path: Path) -> None:
    try:
        with suppress(FileExistsError):
            os.link(unfinished, path)
    except OSError:  # a file system without links
        if not path.exists():
            os.replace(unfinished, path)
