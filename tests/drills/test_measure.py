"""The drill behind docs/trust.md: its page, its short form, and its full size."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.drills.differential_drill import Tally
from tests.drills.trust_page import BEGIN, END, write_page
from tests.drills.verdict_drill import describe_disagreement
from tests.support.paths import ROOT


def test_the_page_has_the_figures(tmp_path: Path) -> None:
    page = tmp_path / "trust.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    tally = Tally(
        3, Counter({"ok/ok": 1, "nondeterminism/diverged": 1, "ok/drift": 1}), disagreements=["x: false green"]
    )
    write_page(page, {"edited code": tally}, 7, 3)
    text = page.read_text()
    assert "\nold\n" not in text
    assert "| edited code | 3 | 2 | 1 | 0 | 0 | 0 | 2 |" in text
    assert "| edited code | 1 | 0 | 0 | 0 | 0 | 0 |" in text
    assert "--first 7 --comparisons 3" in text
    assert Tally.from_json(tally.to_json()) == tally


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("ok", "drift", ""),
        ("nondeterminism", "diverged", ""),
        ("nondeterminism", "ok", "false green"),
        ("ok", "diverged", "false alarm"),
        ("code", "diverged", "other word"),
        ("code", "unverified", "undecided"),
        ("fatal", "diverged", ""),
        ("history", "diverged", "other word"),
    ],
)
def test_what_is_a_disagreement(theirs: str, ours: str, said: str) -> None:
    assert describe_disagreement("the SDK", theirs, ours).partition(":")[0] == said


@pytest.mark.drill
@pytest.mark.server
def test_twenty_thousand_comparisons(tmp_path: Path) -> None:
    words = ["-m", "tests.drills.measure", "--comparisons", "20000", "--keep", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, check=False)
    assert done.returncode == 0
