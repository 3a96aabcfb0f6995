"""The figures of docs/trust.md: seeded programs, recorded, edited, corrupted, set up otherwise, taken over, compared.

    python -m tests.drills.measure --first SEED --comparisons 20000 --write docs/trust.md [--keep FOLDER]

Records programs on a dev server and compares replaytool with the SDK's replayer and with real workers. Prints every
disagreement and fails if there is one. With `--keep`, recorded runs and finished parts stay in FOLDER, and
the next call goes on from there; disagreements are kept there too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.drills.differential_drill import Tally, compare_engines, comparisons, run
from tests.drills.programs.recording import record
from tests.drills.takeover_drill import record_takeovers
from tests.drills.trust_page import write_page
from tests.drills.verdict_drill import compare_set_up, list_combinations, list_takeovers

RECORDED = Path(__file__).with_name("programs") / "recorded"
EACH = 80
"""Edits, and as many corruptions, of one recorded program."""
TAKEN_OVER = 0.05
"""Share of the comparisons that a real worker judges."""
SET_UP = 0.2


@dataclass(frozen=True)
class Part:
    """One kind of comparison."""

    name: str
    todo: Callable[[], Sequence[Any]]
    compare: Callable[[Any, Path, int], tuple[str, str | None]]


def list_parts(first: int, wanted: int, folder: Path) -> list[Part]:
    """All kinds, which record what they need when their turn comes."""
    taken, set_up = round(wanted * TAKEN_OVER), round(wanted * SET_UP)
    direct = wanted - taken - set_up

    def read_takeovers() -> list[dict[str, Any]]:
        # One in four runs ends before it can be taken over.
        record_takeovers(range(first, first + taken + taken // 2 + 8), folder / "takeovers")
        return _read_all(folder / "takeovers", "t*.json")

    def read_programs() -> list[dict[str, Any]]:
        kept = _read_all(RECORDED, "p*.json")
        more = -(-direct // (1 + 2 * EACH)) + 1 - len(kept)
        (folder / "programs").mkdir(parents=True, exist_ok=True)
        record(range(first, first + max(more, 0)), folder / "programs")
        return [*kept, *_read_all(folder / "programs", "p*.json")]

    def list_direct() -> list[Any]:
        return list(comparisons(read_programs(), EACH, EACH))

    def pick(kind: str, size: int) -> list[Any]:
        return [one for one in list_direct() if (" mutation " in one.name) == (kind == "corrupted")][:size]

    return [
        Part("edited code", lambda: pick("edited", direct - direct // 2), compare_engines),
        Part("corrupted histories", lambda: pick("corrupted", direct // 2), compare_engines),
        Part("taken over by a worker", lambda: list(list_takeovers(read_takeovers()))[:taken], compare_set_up),
        Part(
            "other set-ups",
            lambda: list(list_combinations(read_takeovers(), -(-set_up // max(taken, 1)) + 1))[:set_up],
            compare_set_up,
        ),
    ]


def _read_all(folder: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(pattern))]


def measure_part(part: Part, folder: Path) -> Tally:
    """The tally of one kind, from an earlier call if it is there."""
    file = folder / f"{part.name.replace(' ', '-')}.tally.json"
    if file.exists():
        return Tally.from_json(json.loads(file.read_text()))
    todo = part.todo()
    tally = run(todo, compare=part.compare)
    keep_disagreements(tally, todo, folder / "disagreements")
    file.write_text(json.dumps(tally.to_json()))
    return tally


def keep_disagreements(tally: Tally, todo: Sequence[Any], folder: Path) -> None:
    """Write the code and the history of each disagreement, for a test."""
    named = {said.partition(":")[0]: said for said in tally.disagreements}
    for one in todo:
        if one.name in named:
            folder.mkdir(parents=True, exist_ok=True)
            content = {**asdict(one), "disagreement": named[one.name]}
            (folder / f"{one.name.replace(' ', '-')}.json").write_text(json.dumps(content))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=5000, help="the first seed")
    parser.add_argument("--comparisons", type=int, default=20_000)
    parser.add_argument("--write", type=Path, help="the page to write the figures into")
    parser.add_argument("--keep", type=Path, help="the folder of recorded runs and finished parts")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        folder = chosen.keep or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        tallies = {}
        for part in list_parts(chosen.first, chosen.comparisons, folder):
            tallies[part.name] = tally = measure_part(part, folder)
            print(f"{part.name}: {tally}", flush=True)
            print(*tally.disagreements, sep="\n", flush=True)
    if chosen.write:
        write_page(chosen.write, tallies, chosen.first, chosen.comparisons)
    sys.exit(1 if any(one.disagreements or not one.compared for one in tallies.values()) else 0)


if __name__ == "__main__":
    main()
