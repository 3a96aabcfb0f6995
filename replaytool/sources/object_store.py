"""Objects in buckets (Amazon S3 and its likes, Google Cloud Storage, Azure), listed and streamed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, BinaryIO

from replaytool.errors import ReplaytoolError
from replaytool.sources.base import Source, Unavailable
from replaytool.sources.compressed import unwrapped
from replaytool.sources.file_names import Pattern, hints_from_name, is_pattern, split_pattern
from replaytool.sources.object_store_clients import Place, bounded, connect


def open_objects(uri: str) -> Iterator[Source]:
    """One object, everything under a prefix, or what a pattern in the key matches."""
    place = connect(uri)
    paths = bounded(place.address, lambda: _paths(place))
    return iter([_source(place, path) for path in paths])


def _paths(place: Place) -> list[str]:
    from pyarrow import fs

    info = place.filesystem.get_file_info(place.path)
    if info.type == fs.FileType.File:
        return [place.path]
    if info.type == fs.FileType.Directory:
        return _below(place, place.path, Pattern([])) or _nothing(place, "the prefix holds no objects, or empty ones")
    if is_pattern(place.address.key):
        return _matching(place)
    return _nothing(place, "a prefix ends where a / is; write a pattern such as 2026-* for the part of a name")


def _matching(place: Place) -> list[str]:
    base, parts = split_pattern(place.path.split("/"))
    try:
        found = _below(place, "/".join(base), Pattern(parts))
    except FileNotFoundError:
        found = []
    return found or _nothing(place, "* stands for a part of one name, ** for any number of folders")


def _below(place: Place, folder: str, pattern: Pattern) -> list[str]:
    from pyarrow import fs

    listed = place.filesystem.get_file_info(fs.FileSelector(folder, recursive=True))
    return sorted(info.path for info in listed if _is_content(info) and pattern.matches(_parts(info.path, folder)))


def _is_content(info: Any) -> bool:
    # An empty object is how a browser of buckets makes a folder.
    return bool(info.is_file and info.size)


def _parts(path: str, folder: str) -> list[str]:
    return path[len(folder) :].strip("/").split("/")


def _nothing(place: Place, hint: str) -> list[str]:
    from pyarrow import fs

    bucket = place.path.split("/")[0]
    if place.filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
        raise ReplaytoolError(f"there is no bucket for {place.address}", "check its name and the endpoint")
    raise ReplaytoolError(f"there is nothing at {place.address}", hint)


def _source(place: Place, path: str) -> Source:
    name = place.name(path)
    return Source(name, functools.partial(_open, place, path), hints_from_name(name))


def _open(place: Place, path: str) -> BinaryIO:
    try:
        # Compression is found by content: a name that ends in .gz proves nothing.
        stream = bounded(place.address, lambda: place.filesystem.open_input_stream(path, compression=None))
    except ReplaytoolError as error:
        raise Unavailable(error.message, error.hint) from error
    return unwrapped(stream)
