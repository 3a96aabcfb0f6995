from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Call
from tests.corpus.sleeper_run import history
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

CODE = """
from datetime import timedelta

from temporalio import workflow


def _double(value: int) -> int:
    return value * 2


def unrelated() -> None:
    print("never mentioned")


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self, seconds: int) -> int:
        for turn in range(seconds):
            if turn > 100:
                return _double(turn)
        if workflow.patched("longer"):
            return 1
        return await self.rest()

    async def rest(self) -> int:
        try:
            await workflow.sleep(timedelta(seconds=1))
        except ValueError:
            return 0
        return 7

    @workflow.query
    def state(self) -> int:
        return 1


@workflow.defn
class Nobody:
    @workflow.run
    async def run(self) -> None:
        return None
"""


def test_lines_branches_patches_and_types_that_no_history_covers(call: Call, tmp_path: Path) -> None:
    code = tmp_path / "sleeper.py"
    code.write_text(CODE)
    (tmp_path / "history.json").write_bytes(history(3))
    result = call("coverage", "history.json", "-w", code, "--json")
    assert result.code == 0, result.err
    (file,) = result.json["files"]
    text = CODE.splitlines()
    assert [text[line - 1].strip() for line in file["missing_lines"]] == [
        "return value * 2", "return _double(turn)", "return 1", "except ValueError:", "return 0", "return None",
    ]  # fmt: skip
    assert [(text[one["line"] - 1].strip(), one["way"]) for one in file["missing_branches"]] == [
        ("if turn > 100:", "the condition holds"),
        ('if workflow.patched("longer"):', "the condition holds"),
    ]
    assert result.json["patches"] == [{"id": "longer", "with_marker": 0, "without_marker": 1}]
    assert result.json["types_without_history"] == ["Nobody"]
    shown = call("coverage", "history.json", "-w", code)
    assert "workflow type Nobody: no history" in shown.out
    assert "patch longer: with its marker" in shown.out
    line = text.index("            if turn > 100:") + 1
    assert f"sleeper.py:{line}: the condition holds" in shown.out
    assert "unrelated" not in shown.out


def test_a_loop_that_is_left_and_an_if_without_else_are_told_apart(call: Call, tmp_path: Path) -> None:
    code = tmp_path / "sleeper.py"
    code.write_text(CODE)
    (tmp_path / "history.json").write_bytes(history(0))
    (file,) = call("coverage", "history.json", "-w", code, "--json").json["files"]
    text = CODE.splitlines()
    ways = {(text[one["line"] - 1].strip(), one["way"]) for one in file["missing_branches"]}
    assert ("for turn in range(seconds):", "the loop is entered") in ways
    assert ("for turn in range(seconds):", "the loop comes to its end") not in ways


def test_coverage_can_fail(call: Call) -> None:
    given = ("coverage", FIXTURES / "saga_with_compensation" / "history.json", "-w")
    assert call(*given, FIXTURES / "saga_with_compensation" / "workflow.py", "--fail-under", "99").code == 0
    assert call(*given, FIXTURES / "loyalty" / "workflow.py", "--fail-under", "1").code == 1
    assert call(*given[:-1]).code == 2, "no code is named"


def test_a_history_that_leaves_the_code_counts_up_to_there(call: Call) -> None:
    case = FIXTURES / "activities_in_sequence"
    found = call("coverage", case / "history.json", "-w", case / "changed_activity_renamed.py", "--json").json
    assert found["not_followed"] == 1
    assert 0 < found["percent"] < 100
