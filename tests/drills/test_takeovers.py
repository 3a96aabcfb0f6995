"""replaytool's verdict against the SDK's Replayer in the same set-up, and against real workers that took runs over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.drills.differential_drill import run
from tests.drills.verdict_drill import compare_set_up, list_combinations, list_takeovers
from tests.support.paths import ROOT

RECORDED = Path(__file__).with_name("programs") / "takeovers"


def _read_all(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("t*.json"))]


def test_recorded_takeovers_in_other_set_ups() -> None:
    recorded = _read_all(RECORDED)
    tally = run([*list_takeovers(recorded), *list_combinations(recorded, 3)], 1, compare_set_up)
    print(tally)
    assert tally.disagreements == []
    assert tally.unanswered == []
    assert tally.compared + tally.malformed == 4 * len(recorded) == 96
    assert {word.partition("/")[0] for word in tally.words} >= {"ok", "nondeterminism", "code"}


@pytest.mark.server
def test_a_real_worker_takes_runs_over(tmp_path: Path) -> None:
    # A process of its own: the code of its workers is deleted afterwards, and modules of it would stay.
    words = ["-m", "tests.drills.takeover_drill", "5000", "5008", str(tmp_path)]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True)
    todo = list(list_takeovers(_read_all(tmp_path)))
    assert len(todo) >= 3
    tally = run(todo, 1, compare_set_up)
    print(tally)
    assert tally.disagreements == []
    assert tally.compared == len(todo)
