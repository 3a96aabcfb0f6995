"""Compression is undone whatever the name says, and damage is told and never taken for an end."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from pathlib import Path

import pyarrow
import pytest

from replaytool.sources import BrokenStream, open_sources
from replaytool.sources.compressed import unwrap_stream

DATA = json.dumps({"events": list(range(100_000))}).encode()


def zstd(data: bytes) -> bytes:
    packed: bytes = pyarrow.Codec("zstd").compress(data, asbytes=True)
    return packed


def read(data: bytes) -> bytes:
    with unwrap_stream(io.BytesIO(data)) as stream:
        return stream.read()


@pytest.mark.parametrize(
    "packed",
    [
        DATA,
        gzip.compress(DATA),
        gzip.compress(gzip.compress(DATA)),
        gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]),
        zstd(DATA),
        gzip.compress(zstd(DATA)),
        zstd(gzip.compress(DATA)),
    ],
    ids=["plain", "gzip", "twice", "members", "zstd", "zstd in gzip", "gzip in zstd"],
)
def test_content_comes_out_as_it_went_in(packed: bytes) -> None:
    assert read(packed) == DATA
    with unwrap_stream(io.BytesIO(packed)) as stream:
        assert stream.peek(65536)[:65536] == DATA[:65536]  # type: ignore[attr-defined]
        assert b"".join(iter(lambda: stream.read(777), b"")) == DATA


@pytest.mark.parametrize("data", [b"", b"\x1f", b"\x1f\x8b", b"\x28\xb5\x2f", b"{}"])
def test_short_content_is_left_alone(data: bytes) -> None:
    assert read(data) == data


@pytest.mark.parametrize("pack", [gzip.compress, zstd, lambda data: gzip.compress(gzip.compress(data))])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_truncation_is_told(pack: object, kept: float) -> None:
    packed = pack(DATA + os.urandom(5000))  # type: ignore[operator]
    with pytest.raises(BrokenStream, match="truncated"):
        read(packed[: int(len(packed) * kept)])


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_damage_is_told(pack: object) -> None:
    packed = bytearray(pack(DATA))  # type: ignore[operator]
    packed[10:40] = bytes([255]) * 30
    with pytest.raises(BrokenStream):
        read(bytes(packed))
    with pytest.raises(BrokenStream):
        read(gzip.compress(DATA) + b"and something else")


def test_a_bomb_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json"
    with gzip.open(path, "wb", compresslevel=1) as bomb:
        for _ in range(200):
            bomb.write(bytes(1024 * 1024))
    (source,) = open_sources([str(path)])
    tracemalloc.start()
    with source.open() as stream:
        size = sum(len(piece) for piece in iter(lambda: stream.read(65536), b""))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 200 * 1024 * 1024
    assert peak < 5 * 1024 * 1024


def test_closing_closes_what_is_underneath(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"x"))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(10):
        (source,) = open_sources([str(path)])
        source.open().close()
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before
