"""List and stream objects in buckets (Amazon S3 and compatible stores, Google Cloud Storage, Azure)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, BinaryIO

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.sources.base import HistorySource, SourceUnavailable
from replaytool.sources.compressed import unwrap_stream
from replaytool.sources.file_names import PathPattern, hints_from_name, is_pattern, split_pattern
from replaytool.sources.object_store_clients import ObjectPlace, call_with_timeout, connect_object_store


def open_objects(uri: str) -> Iterator[HistorySource]:
    """Return the source of one object, of all objects under a prefix, or of what a pattern in the key matches."""
    place = connect_object_store(uri)
    paths = call_with_timeout(place.address, lambda: _list_objects(place))
    return iter([_make_object_source(place, path) for path in paths])


def _list_objects(place: ObjectPlace) -> list[str]:
    from pyarrow import fs

    info = place.filesystem.get_file_info(place.path)
    if info.type == fs.FileType.File:
        return [place.path]
    if info.type == fs.FileType.Directory:
        return _list_below(place, place.path, PathPattern([])) or _raise_nothing_found(
            place, "the prefix holds no objects, or empty ones"
        )
    if is_pattern(place.address.key):
        return _list_matching(place)
    return _raise_nothing_found(
        place, "a prefix ends where a / is; write a pattern such as 2026-* for the part of a name"
    )


def _list_matching(place: ObjectPlace) -> list[str]:
    base, parts = split_pattern(place.path.split("/"))
    try:
        found = _list_below(place, "/".join(base), PathPattern(parts))
    except FileNotFoundError:
        found = []
    return found or _raise_nothing_found(place, "* stands for a part of one name, ** for any number of folders")


def _list_below(place: ObjectPlace, folder: str, pattern: PathPattern) -> list[str]:
    from pyarrow import fs

    listed = place.filesystem.get_file_info(fs.FileSelector(folder, recursive=True))
    return sorted(
        info.path
        for info in listed
        if _is_object_with_content(info) and pattern.matches_path(_relative_parts(info.path, folder))
    )


def _is_object_with_content(info: Any) -> bool:
    # Bucket browsers make a folder by writing an empty object.
    return bool(info.is_file and info.size)


def _relative_parts(path: str, folder: str) -> list[str]:
    return path[len(folder) :].strip("/").split("/")


def _raise_nothing_found(place: ObjectPlace, hint: str) -> list[str]:
    from pyarrow import fs

    bucket = place.path.split("/")[0]
    if place.filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
        raise ReplaytoolError(
            f"there is no bucket for {place.address}",
            "check its name and the endpoint",
            code=ErrorCode.SOURCE_BUCKET_MISSING,
        )
    raise ReplaytoolError(f"there is nothing at {place.address}", hint, code=ErrorCode.SOURCE_EMPTY)


def _make_object_source(place: ObjectPlace, path: str) -> HistorySource:
    name = place.object_name(path)
    return HistorySource(name, functools.partial(_open_object, place, path), hints_from_name(name))


def _open_object(place: ObjectPlace, path: str) -> BinaryIO:
    try:
        # Compression is found by content: a name that ends in .gz proves nothing.
        stream = call_with_timeout(place.address, lambda: place.filesystem.open_input_stream(path, compression=None))
    except ReplaytoolError as error:
        raise SourceUnavailable(error.message, error.hint, code=error.code) from error
    return unwrap_stream(stream)
