"""Create a file that is there whole or not at all, even if the process is killed while it writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def create_atomically(path: Path) -> Iterator[Path]:
    """Yield the path to write. The file gets its name when the block ends, unless another process was faster."""
    unfinished = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    try:
        yield unfinished
        _give_final_name(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _give_final_name(unfinished: Path, path: Path) -> None:
    try:
        with suppress(FileExistsError):
            os.link(unfinished, path)
    except OSError:  # a file system without links
        if not path.exists():
            os.replace(unfinished, path)
