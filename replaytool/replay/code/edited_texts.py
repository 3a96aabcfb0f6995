"""Import other text than a file holds, so that an edit can be tried without writing it anywhere.

Bytecode on the disk is of the file's own text. So it is neither read nor written for these files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.machinery import SourceFileLoader
from typing import Any

_texts: dict[str, bytes] = {}
_read_data, _read_stats = SourceFileLoader.get_data, SourceFileLoader.path_stats


def import_edited_texts(edited: Iterable[tuple[str, str]]) -> None:
    """Import these texts from now on, in sandboxes too; the process must not have imported the files yet."""
    _texts.clear()
    _texts.update({os.path.realpath(file): text.encode() for file, text in edited})
    loader: Any = SourceFileLoader
    loader.get_data = _get_data if _texts else _read_data
    loader.path_stats = _path_stats if _texts else _read_stats


def _get_data(loader: SourceFileLoader, path: str) -> bytes:
    text = _texts.get(os.path.realpath(path))
    return _read_data(loader, path) if text is None else text


def _path_stats(loader: SourceFileLoader, path: str) -> Mapping[str, object]:
    if os.path.realpath(path) in _texts:
        raise OSError("edited")  # the loader then goes on without bytecode
    return _read_stats(loader, path)
