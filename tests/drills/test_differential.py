"""Both engines against each other: a short form on recorded programs each time, and the long one on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.drills.differential_drill import comparisons, run
from tests.drills.programs.recording import record

RECORDED = Path(__file__).with_name("programs") / "recorded"


def test_forty_recorded_programs_with_edits_and_tampered_histories() -> None:
    histories = [json.loads(path.read_text()) for path in sorted(RECORDED.glob("p*.json"))]
    assert len(histories) == 40
    tally = run(list(comparisons(histories, edits=2, mutations=2)))
    print(tally)
    assert tally.disagreements == []
    assert tally.compared > 190
    assert {"ok", "nondeterminism"} <= set(tally.words)


@pytest.mark.drill
@pytest.mark.server
def test_programs_run_by_workers_that_are_killed(tmp_path: Path) -> None:
    record(range(1000, 1060), tmp_path)
    histories = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("p*.json"))]
    assert len(histories) == 60
    tally = run(list(comparisons(histories, edits=5, mutations=5)))
    print(tally)
    assert tally.disagreements == []
    assert tally.compared > 600
