"""A fix is offered only if it applies, heals what broke, and lets a fresh run take the new path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.check.guilty.test_find import commit, demo
from tests.conftest import Call
from tests.support.git_repository import git
from tests.support.paths import FIXTURES

__all__ = ["demo"]
pytestmark = pytest.mark.slow

PROVEN = (
    ("activities_in_sequence", "changed_activity_removed.py"),
    ("activities_in_sequence", "changed_activity_added.py"),
    ("activities_in_sequence", "changed_activities_swapped.py"),
    ("activities_in_sequence", "changed_early_return.py"),
    ("saga_with_compensation", "changed_order_of_undo.py"),
    ("local_activities", "changed_made_remote.py"),
    ("activities_in_sequence", "changed_activity_renamed.py"),
    ("activities_in_sequence", "changed_child_for_activity.py"),
    ("activity_retries", "changed_failure_not_caught.py"),
    ("nexus_sync_operation", "changed_operation_renamed.py"),
)


def test_the_constant_of_the_demo_is_guarded_where_it_is_used(call: Call, demo: Path) -> None:
    told = call("check", "-w", "wf.py", "--base", "main", "--fix", "-o", "fix.diff", "--format", "json", "histories")
    fix = told.json["guilty_search"]["fix"]
    assert (told.code, fix["replayed"], fix["healed"], fix["change_ids"]) == (1, True, 8, ["new-trips-per-mail"])
    assert (demo / "fix.diff").read_text() == fix["diff"]
    git(demo, "apply", "fix.diff")
    text = (demo / "wf.py").read_text()
    assert '% (TRIPS_PER_MAIL if workflow.patched("new-trips-per-mail") else 3) == 0' in text
    healed = call("check", "-w", "wf.py", "--engine", "both", "--format", "json", "histories")
    assert healed.code == 0, healed.out
    assert healed.json["summary"]["ok"] + healed.json["summary"]["drift"] == 11


def test_the_files_are_changed_when_asked(call: Call, demo: Path) -> None:
    told = call("check", "-w", "wf.py", "--base", "main", "--fix", "--write", "histories")
    assert told.code == 1
    assert "wf.py: changed as the fix says" in told.err
    assert 'workflow.patched("new-trips-per-mail")' in (demo / "wf.py").read_text()
    assert git(demo, "status", "--porcelain", "wf.py").strip() == "M wf.py"
    assert call("check", "-w", "wf.py", "histories").code == 0
    refused = call("check", "-w", "wf.py", "--base", "main", "--write", "histories")
    assert (refused.code, "--write needs --fix" in refused.err) == (2, True)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("program", "changed"), PROVEN)
def test_a_guard_heals_the_runs_for_both_engines(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, changed: str
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    commit(project, {"wf.py": (FIXTURES / program / "workflow.py").read_text()}, "main")
    commit(project, {"wf.py": (FIXTURES / program / changed).read_text()}, "change")
    monkeypatch.chdir(project)
    histories = sorted((FIXTURES / program).glob("history*.json"))
    told = call("check", "-w", "wf.py", "--base", "main", "--fix", "-o", "fix.diff", "--format", "json", *histories)
    fix = told.json["guilty_search"]["fix"]
    assert fix["replayed"], json.dumps(fix)
    git(project, "apply", "fix.diff")
    healed = call("check", "-w", "wf.py", "--engine", "both", "--format", "json", *histories)
    assert healed.code == 0, healed.out


def test_what_is_not_proven_is_not_offered(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, project = FIXTURES / "signals", tmp_path / "project"
    project.mkdir()
    commit(project, {"wf.py": (program / "workflow.py").read_text()}, "main")
    commit(project, {"wf.py": (program / "changed_handler_gone.py").read_text()}, "change")
    monkeypatch.chdir(project)
    told = call(
        "check",
        "-w",
        "wf.py",
        "--base",
        "main",
        "--fix",
        "-o",
        "fix.diff",
        "--format",
        "json",
        program / "history.json",
    )
    fix = told.json["guilty_search"]["fix"]
    assert (told.code, fix["diff"], fix["replayed"]) == (1, "", False)
    assert "a class, a signature or an import has changed" in fix["note"]
    assert not Path("fix.diff").exists()


def test_an_output_without_a_fix_is_refused(call: Call) -> None:
    told = call("check", "-o", "fix.diff")
    assert told.code == 2
    assert "--output needs --fix" in told.err
