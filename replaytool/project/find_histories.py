"""Find recorded histories that a project has already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from replaytool.errors import ReplaytoolError
from replaytool.formats import detect_format

_ENDINGS = {".json", ".bin", ".pb", ".binpb"}
_HEAD = 65536
_MOST_FOLDERS = 4000
_SKIPPED = {"node_modules", "site-packages", "__pycache__", "build", "dist"}


def find_history_folders(project: Path) -> tuple[str, ...]:
    """Return the topmost folders whose name or files speak of histories and that hold some, relative to the project."""
    found: list[Path] = []
    for folder, files in _walk_folders(project):
        is_inside = any(folder.is_relative_to(one) for one in found)
        named = "histor" in folder.name.lower()
        wanted = [one for one in files if one.suffix in _ENDINGS and (named or "histor" in one.name.lower())]
        if not is_inside and folder != project and any(map(_is_history, wanted)):
            found.append(folder)
    return tuple(f"{os.path.relpath(one, project)}/" for one in found)


def _walk_folders(project: Path) -> Iterator[tuple[Path, list[Path]]]:
    for count, (place, folders, files) in enumerate(os.walk(project)):
        if count >= _MOST_FOLDERS:
            return
        folders[:] = sorted(
            one
            for one in folders
            if one[0] != "." and one not in _SKIPPED and not Path(place, one, "pyvenv.cfg").exists()
        )
        yield Path(place), [Path(place, one) for one in sorted(files)]


def _is_history(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            detect_format(stream.read(_HEAD))
    except (OSError, ReplaytoolError):
        return False
    return True
