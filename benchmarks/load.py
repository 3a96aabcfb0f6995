"""How fast histories are loaded, how much memory that takes, and how large the store is.

    python benchmarks/load.py              a table of times, ratios and sizes for several mixes of files
    python benchmarks/load.py --quick      the same with a tenth of the data
    python benchmarks/load.py --gigabyte   memory for a gigabyte of JSON in files of several kinds
    python benchmarks/load.py --queries    `runs` and `builds` over ten million events, and `replaytool --help`

Each figure is the best of several processes, each on one core, all from one run: compare ratios, not seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import queries
from benchmarks import synthetic_histories as histories
from benchmarks.synthetic_histories import Shape

_MEASURE = Path(__file__).with_name("measure_once.py")
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Mix:
    """One kind of files: how many runs, of what shape, spelled how, and how many in each file."""

    name: str
    runs: int
    shape: Shape
    spelled: Callable[[str], str] = str
    per_file: int = 1
    is_target: bool = True
    """Whether the promised ratios are promised for it."""
    against_duckdb: bool = True
    """Whether plain SQL can extract the same from it."""


MIXES = (
    Mix("many small files", 8000, Shape(3)),
    Mix("medium", 400, Shape(100)),
    Mix("48,000 events each", 5, Shape(7350)),
    Mix("pretty-printed", 400, Shape(100), histories.pretty),
    Mix("JSON lines", 6000, Shape(6), per_file=1000),
    Mix("large values", 200, Shape(20, payload=8000), is_target=False),
    Mix("random values", 200, Shape(20, payload=8000, random_payload=True), is_target=False),
    Mix("snake_case keys", 60, Shape(100), histories.snake_case, is_target=False, against_duckdb=False),
    Mix("tctl's names", 60, Shape(100), histories.pascal_case, is_target=False, against_duckdb=False),
)
GIGABYTE = (
    Mix("many small", 11_000, Shape(30)),
    Mix("50 MB each", 20, Shape(16500)),
    Mix("one file of JSON lines", 12000, Shape(27), per_file=12000),
    Mix("one list of histories", 12000, Shape(27), per_file=12000),
    Mix("half as many small", 5500, Shape(30)),
)


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("quick", "gigabyte", "queries"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--repeat", type=int, default=3, help="processes for each figure")
    options = parser.parse_args()
    if options.gigabyte:
        _print_memory()
    elif options.queries:
        queries.print_table()
    else:
        _print_speed(0.1 if options.quick else 1, options.repeat)


def _print_speed(scale: float, repeat: int) -> None:
    print(f"{'mix':20} {'MB':>6} {'MB/s':>7} {'x SDK':>6} {'x DuckDB':>8} {'store %':>7} {'RSS MB':>7}")
    for mix in MIXES:
        with tempfile.TemporaryDirectory() as folder:
            size = write(mix, Path(folder), scale)
            ours = _best("replaytool", folder, repeat)
            official = _best("official", folder, repeat)
            plain = _best("duckdb", folder, repeat) if mix.against_duckdb else None
        versus = f"{plain['cpu'] / ours['cpu']:8.2f}" if plain else f"{'-':>8}"
        print(
            f"{mix.name:20} {size / _MEGABYTE:6.0f} {size / _MEGABYTE / ours['cpu']:7.1f} "
            f"{official['cpu'] / ours['cpu']:6.2f} {versus} {100 * ours['store'] / size:7.1f} "
            f"{ours['rss'] / _MEGABYTE:7.0f}{'' if mix.is_target else '  (for information)'}",
            flush=True,
        )


def _print_memory() -> None:
    print(f"{'mix':24} {'MB':>6} {'files':>6} {'seconds':>8} {'RSS MB':>7} {'store %':>7}")
    for mix in GIGABYTE:
        with tempfile.TemporaryDirectory() as folder:
            size = write(mix, Path(folder), 1, as_list="list" in mix.name)
            ours = _best("replaytool", folder, 1)
        print(
            f"{mix.name:24} {size / _MEGABYTE:6.0f} {mix.runs // mix.per_file:6} {ours['wall']:8.1f} "
            f"{ours['rss'] / _MEGABYTE:7.0f} {100 * ours['store'] / size:7.1f}",
            flush=True,
        )


def _best(what: str, folder: str, repeat: int) -> dict[str, Any]:
    found = [measured(what, folder) for _ in range(repeat)]
    return min(found, key=lambda one: float(one["cpu"]))


def measured(what: str, folder: str) -> dict[str, Any]:
    """One figure, from a process of its own."""
    command = [sys.executable, str(_MEASURE), what, folder]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def write(mix: Mix, folder: Path, scale: float, *, as_list: bool = False) -> int:
    """The files of a mix; returns their bytes."""
    total = 0
    seeds = iter(range(max(1, int(mix.runs * scale))))
    for number, texts in enumerate(_batches(mix, seeds)):
        opening, between, closing = ("[", ",\n", "]") if as_list else ("", "\n", "")
        path = folder / f"{number}.{'json' if as_list or mix.per_file == 1 else 'jsonl'}"
        with path.open("w") as file:
            for index, text in enumerate(texts):
                file.write((between if index else opening) + text)
            file.write(closing)
        total += path.stat().st_size
    return total


def _batches(mix: Mix, seeds: Iterator[int]) -> Iterator[Iterator[str]]:
    for first in seeds:
        rest = (seed for _, seed in zip(range(mix.per_file - 1), seeds, strict=False))
        yield (mix.spelled(histories.history(seed, mix.shape)) for seed in _chained(first, rest))


def _chained(first: int, rest: Iterator[int]) -> Iterator[int]:
    yield first
    yield from rest


if __name__ == "__main__":
    main()
