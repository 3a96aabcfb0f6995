"""Replaying only what a change can touch, and what makes that impossible to tell."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Call
from tests.corpus.sleeper_run import history
from tests.support.git_repository import git
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

ORDER = FIXTURES / "activities_in_sequence"
SLEEPER = """
from datetime import timedelta

from temporalio import workflow

from app import rates


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self, seconds: int) -> int:
        if seconds > 100:
            return rates.double(seconds)
        await workflow.sleep(timedelta(seconds=rates.FACTOR))
        return rates.seven()
"""
RATES = """
FACTOR = 1


def seven() -> int:
    return 7


def double(value: int) -> int:
    return 2 * value
"""


@pytest.fixture
def project(call: Call, tmp_path: Path) -> Path:
    """Two workflows, one of them with a module of its own, committed; and a history of each."""
    (tmp_path / "app").mkdir()
    (tmp_path / "histories").mkdir()
    shutil.copy(ORDER / "history.json", tmp_path / "histories" / "order.json")
    (tmp_path / "histories" / "sleeper.json").write_bytes(history(3))
    shutil.copy(ORDER / "workflow.py", tmp_path / "app" / "order.py")
    (tmp_path / "app" / "__init__.py").write_text("")
    (tmp_path / "app" / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "app" / "rates.py").write_text(RATES)
    (tmp_path / "app" / "prompt.txt").write_text("Be kind.")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def impacted(call: Call, *more: str, source: str = "histories") -> Any:
    result = call("check", source, "-w", "app/", "--base", "HEAD", "--impacted", "--format", "json", *more)
    assert "Traceback" not in result.err
    return result.json


def replayed(report: Any) -> dict[str, str]:
    """The verdicts of what was replayed, by workflow type."""
    assert report["base"]["left_out"] == sum(_is_left_out(run) for run in report["runs"])
    return {run["workflow_type"]: run["verdict"] for run in report["runs"] if not _is_left_out(run)}


def _is_left_out(run: Any) -> bool:
    return any(note.startswith("not replayed:") for note in run["notes"])


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_nothing_is_replayed_where_nothing_has_changed(call: Call, project: Path) -> None:
    edit(project / "app" / "rates.py", "FACTOR = 1", "FACTOR = 1  # second")
    report = impacted(call)
    assert replayed(report) == {}
    assert report["summary"]["ok"] == 2
    told = call("check", "histories", "-w", "app/", "--base", "HEAD", "--impacted")
    assert told.code == 0
    assert "2 runs were not replayed again: no line that they reach" in told.out


@pytest.mark.parametrize(
    ("file", "before", "after", "expected"),
    [
        ("rates.py", "return 2 * value", "return 3 * value", {}),
        ("rates.py", "return 7", "return 8", {"Sleeper": "drift"}),
        pytest.param("rates.py", "FACTOR = 1", "FACTOR = 2", {"Sleeper": "drift"}, marks=pytest.mark.drill),
        pytest.param("rates.py", "FACTOR = 1", "FACTOR = 1\nOTHER = 1", {"Sleeper": "ok"}, marks=pytest.mark.drill),
        ("rates.py", "FACTOR = 1", "FACTOR = 1\nprint()", {"Sleeper": "ok", "Order": "ok"}),
        ("rates.py", "FACTOR = 1", "import importlib\nFACTOR = 1", {"Sleeper": "ok", "Order": "ok"}),
        pytest.param(
            "sleeper.py",
            "            return rates.double(seconds)",
            "            return 9",
            {},
            marks=pytest.mark.drill,
        ),
        pytest.param("sleeper.py", "return rates.seven()", "return 4 + 3", {"Sleeper": "ok"}, marks=pytest.mark.drill),
        pytest.param("sleeper.py", "seconds > 100", "seconds > 1", {"Sleeper": "diverged"}, marks=pytest.mark.drill),
        ("sleeper.py", "from app import rates", "from app import rates, order", {"Sleeper": "ok"}),
        ("order.py", '"charge_card"', '"take_payment"', None),
    ],
)
def test_the_runs_that_come_by_the_change_are_replayed(
    call: Call, project: Path, file: str, before: str, after: str, expected: dict[str, str] | None
) -> None:
    if expected is None:
        shutil.copy(ORDER / "changed_activity_renamed.py", project / "app" / "order.py")
        expected = {"Order": "diverged"}
    else:
        edit(project / "app" / file, before, after)
    assert replayed(impacted(call)) == expected


def test_a_file_that_is_read_while_the_code_is_loaded_counts(call: Call, project: Path) -> None:
    edit(
        project / "app" / "rates.py",
        "FACTOR = 1",
        'from pathlib import Path\nPROMPT = (Path(__file__).parent / "prompt.txt").read_text()\nFACTOR = 1',
    )
    git(project, "commit", "-qam", "two")
    edit(project / "app" / "rates.py", "FACTOR = 1", "FACTOR = 1  # second")
    (project / "app" / "new.txt").write_text("nobody reads it")
    assert replayed(impacted(call)) == {}
    (project / "app" / "prompt.txt").write_text("Be short.")
    assert replayed(impacted(call)) == {"Sleeper": "ok", "Order": "ok"}


def test_a_function_that_runs_when_its_module_is_imported_counts(call: Call, project: Path) -> None:
    edit(project / "app" / "rates.py", "def double", "SEVEN = seven()\n\n\ndef double")
    edit(project / "app" / "sleeper.py", "rates.seven()", "rates.SEVEN")
    git(project, "commit", "-qam", "two")
    edit(project / "app" / "rates.py", "return 7", "return 8")
    assert replayed(impacted(call))["Sleeper"] == "drift"


def test_a_module_that_would_be_imported_later_counts(call: Call, project: Path) -> None:
    edit(project / "app" / "sleeper.py", "return rates.seven()", "from app import later\n        return later.VALUE")
    (project / "app" / "later.py").write_text("VALUE = 7\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "two")
    edit(project / "app" / "later.py", "7", "8")
    assert replayed(impacted(call))["Sleeper"] == "drift"


def test_what_a_cached_function_did_in_another_run_counts(call: Call, project: Path) -> None:
    edit(project / "app" / "rates.py", "def seven", "from functools import cache\n\n\n@cache\ndef seven")
    git(project, "commit", "-qam", "two")
    edit(project / "app" / "rates.py", "return 7", "return 8")
    assert replayed(impacted(call))["Sleeper"] == "drift"


def test_a_store_keeps_what_the_code_before_the_change_did(call: Call, project: Path) -> None:
    assert call("load", "histories").code == 0
    edit(project / "app" / "rates.py", "FACTOR = 1", "FACTOR = 1  # second")
    store = str(project / "replaytool.duckdb")
    assert replayed(impacted(call, source=store)) == {}
    (kept,) = call("sql", "SELECT count(*) AS n FROM reach", "--format", "jsonl").out.splitlines()
    assert kept == '{"n": 2}' or '"n":2' in kept
    edit(project / "app" / "rates.py", "return 7", "return 8")
    assert replayed(impacted(call, source=store)) == {"Sleeper": "drift"}
    sites = call("sql", "SELECT detail FROM verdicts", "--format", "jsonl").out
    assert "replaytool-builds-" not in sites, "nothing points into the other checkout, which is gone"


def test_a_finding_that_was_there_before_is_known_and_not_replayed(call: Call, project: Path) -> None:
    shutil.copy(ORDER / "changed_activity_renamed.py", project / "app" / "order.py")
    git(project, "commit", "-qam", "two")
    edit(project / "app" / "rates.py", "return 2 * value", "return 3 * value")
    report = impacted(call)
    assert replayed(report) == {}
    (order,) = (run for run in report["runs"] if run["workflow_type"] == "Order")
    assert (order["verdict"], order["known"]) == ("diverged", True)
    site = order["divergence"]["call_site"]["file"]
    assert (project / site).is_file()
    assert call("check", "histories", "-w", "app/", "--base", "HEAD", "--impacted").code == 0


@pytest.mark.parametrize("more", [(), ("--base", "HEAD", "--repeat", "2")])
def test_it_needs_a_base_and_looks_once(call: Call, project: Path, more: tuple[str, ...]) -> None:
    assert call("check", "histories", "-w", "app/", "--impacted", *more).code == 2
