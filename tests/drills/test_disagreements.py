"""The disagreements that the drill has found: a file says what both sides say `now`, once the cause is mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.drills.verdict_drill import SetUpComparison, compare_set_up

FILES = sorted(Path(__file__).with_name("programs").joinpath("disagreements").glob("*.json"))
KEPT = [file for file in FILES if '"now":' in file.read_text()]


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_a_kept_disagreement_stays_mended(file: Path, tmp_path: Path) -> None:
    kept = json.loads(file.read_text())
    said = kept.pop("now")
    del kept["disagreement"]
    assert compare_set_up(SetUpComparison.from_json(kept), tmp_path, 0) == (said, None)
