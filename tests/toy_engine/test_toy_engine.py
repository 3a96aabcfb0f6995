"""A second engine needs one folder and its rows, or a package of its own: nothing else changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replaytool.render import RENDERERS
from tests.toy_engine.project import EDITS, edit_program, install_by_entry_points, install_by_rows, write_project
from tests.toy_engine.toy.fork import fork_journal
from tests.toy_engine.toy.journal import read_journal
from tests.toy_engine.toy.records import read_steps

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class ToyProject:
    """A folder with journals, and replaytool with the engine in it."""

    folder: Path
    site: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command, and return what it prints."""
        environment = os.environ | {"PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "replaytool", *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert not list(self.folder.glob("**/steps-that-ran.log")), "a real step ran"
        return done.stdout

    def run_json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command, and return the JSON that it prints."""
        return json.loads(self.run(*arguments, code=code))


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A project with the engine as a package of its own."""
    return make_project(tmp_path_factory, install_by_entry_points)


@pytest.fixture(scope="module", params=["rows", "package"])
def toy(request: pytest.FixtureRequest, packaged: ToyProject, tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A project with the engine in either way."""
    return packaged if request.param == "package" else make_project(tmp_path_factory, install_by_rows)


def make_project(tmp_path_factory: pytest.TempPathFactory, install: Callable[[Path], None]) -> ToyProject:
    folder, site = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    install(site)
    write_project(folder)
    project = ToyProject(folder, site)
    project.run("load", "journals")
    return project


def test_runs_and_events_are_listed(toy: ToyProject) -> None:
    rows = toy.run_json("runs", "--json")
    assert {(row["engine"], row["workflow_type"], row["status"]) for row in rows} == {
        ("toy", "order", "Completed"), ("toy", "order", "Running"), ("toy", "order", "Failed"),
    }  # fmt: skip
    shown = toy.run("show", "order-finished")
    assert "charge" in shown
    assert "receipt for 5" in shown
    assert "~" in toy.run("diff", "order-finished", "order-failed", code=1)


def test_a_folder_that_a_format_claims_is_one_source(toy: ToyProject) -> None:
    (toy.folder / "journals" / ".toy-journals").touch()
    try:
        assert "3" in toy.run("load", "journals", "--store", "folder.duckdb")
        rows = toy.run_json("sql", "SELECT DISTINCT format FROM runs", "--json", "--store", "folder.duckdb")
        assert rows == [{"format": "toy-folder"}]
    finally:
        (toy.folder / "journals" / ".toy-journals").unlink()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_gets_its_verdict(packaged: ToyProject, edit: str) -> None:
    code = packaged.folder / f"{edit.replace(' ', '_')}.py"
    code.write_text(edit_program(edit))
    expected = EDITS[edit][2]
    status = 0 if expected in ("ok", "drift") else 1
    report = packaged.run_json("check", "journals/finished.journal", "-w", str(code), "--format", "json", code=status)
    (run,) = report["runs"]
    assert run["verdict"] == expected, run
    changed = code.read_text().splitlines()
    if expected == "diverged":
        assert run["divergence"]["event_id"] == {"renamed": 2, "extra at the end": 4}.get(edit, 3)
        site = run["divergence"]["call_site"]
        assert edit == "dropped" or "context.step" in changed[site["line"] - 1]


def test_a_side_effect_in_a_thread_is_refused_and_reported(packaged: ToyProject) -> None:
    code = packaged.folder / "threaded.py"
    line = 'import threading; threading.Thread(target=Path("from-a-thread").write_text, args=("x",)).start()'
    code.write_text(
        edit_program("same").replace("        self.paid = amount", f"        {line}\n        self.paid = amount")
    )
    report = packaged.run_json("check", "journals/finished.journal", "-w", str(code), "--format", "json")
    assert [(one["what"], one["refused"]) for one in report["runs"][0]["hazards"]] == [("open", True)]
    assert not (packaged.folder / "from-a-thread").exists()


def test_open_and_failed_runs_are_checked(toy: ToyProject) -> None:
    report = toy.run_json("check", "journals", "-w", "order.py", "--format", "json")
    by_id = {run["workflow_id"]: run for run in report["runs"]}
    assert {run["verdict"] for run in by_id.values()} == {"ok"}
    assert by_id["order-open"]["next"] == []  # it waits for a step that has begun


def test_every_report_format_has_it(toy: ToyProject) -> None:
    (toy.folder / "renamed.py").write_text(edit_program("renamed"))
    formats = [f"--format={name}:report.{name}" for name in RENDERERS]
    toy.run("check", "journals", "-w", "renamed.py", *formats, code=1)
    assert [name for name in RENDERERS if "charge" not in (toy.folder / f"report.{name}").read_text()] == []


def test_states_are_debugged(toy: ToyProject) -> None:
    found = toy.run_json("debug", "order-finished", "-w", "order.py", "--no-tui", "--json", "--find", "paid == 5")
    assert found["find"]["event_id"] == 3
    at = toy.run_json("debug", "order-finished", "-w", "order.py", "--no-tui", "--json", "--at", "3")["at"]
    assert '"paid"' in json.dumps(at)


def test_a_fork_is_planned(toy: ToyProject) -> None:
    toy.run("reset", "plan", "--build", "v1", "-o", "plan.json")
    plan = json.loads((toy.folder / "plan.json").read_text())
    assert {item["workflow_id"] for item in plan["items"]} == {"order-finished", "order-open", "order-failed"}
    item = next(one for one in plan["items"] if one["workflow_id"] == "order-open")
    assert item["point"]["event_id"] == 2
    assert item["repeats"] == {"charge": 1, "mail": 1}
    assert [one["code"] for one in item["warnings"]] == ["original-open"]
    (toy.folder / "plan.json").unlink()


def test_a_fork_begins_with_the_kept_steps(tmp_path: Path) -> None:
    journals = write_project(tmp_path)
    run = read_journal((journals / "finished.journal").read_bytes(), "toy-journal")
    fork_journal(run, 3, "fork-1", tmp_path / "fork.journal")
    fork = read_journal((tmp_path / "fork.journal").read_bytes(), "toy-journal")
    assert [step.name for step in read_steps(fork)] == ["charge"]
    assert (fork.run_id, fork.status) == ("fork-1", "Running")


def test_what_it_cannot_do_is_said_in_one_sentence(toy: ToyProject) -> None:
    environment = os.environ | {"PYTHONPATH": str(toy.site)}
    command = [sys.executable, "-m", "replaytool", "debug", "order-finished", "-w", "order.py", "--pdb", "--at", "3"]
    done = subprocess.run(command, cwd=toy.folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "runs of the toy engine cannot be stopped in pdb" in done.stderr


def test_temporal_is_not_imported(packaged: ToyProject) -> None:
    script = (
        "import sys; from replaytool.engines import CodeSpec, load_code; load_code(CodeSpec(('order.py',))); "
        "print([name for name in sys.modules if name.partition('.')[0] == 'temporalio'])"
    )
    environment = os.environ | {"PYTHONPATH": str(packaged.site)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=packaged.folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
