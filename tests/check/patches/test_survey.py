"""`patches` says of each patch what the open runs allow, as replays prove it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Call
from tests.drills.patch_drill import make_project
from tests.support.git_repository import git
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow
CASE = FIXTURES / "patches"
SOURCE = (CASE / "workflow.py").read_text()
OLD = """        else:
            shipped = await workflow.execute_activity(ship_by_post, item, start_to_close_timeout=SHORT)
"""
DEPRECATED = SOURCE.replace(
    'if workflow.patched("by-bike"):', 'workflow.deprecate_patch("by-bike")\n        if True:'
).replace(OLD, "")
GONE = DEPRECATED.replace('        workflow.deprecate_patch("by-bike")\n', "")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "flow.py").write_text(SOURCE)
    return folder


def keep_open(project: Path, *names: str, until: int = 7) -> None:
    """Put histories into the project that end while the first activity is waiting."""
    (project / "histories").mkdir(exist_ok=True)
    for name in names:
        whole = json.loads((CASE / f"history-{name}.json").read_text())
        last = until - 2 if name == "before" else until
        (project / "histories" / f"{name}.json").write_text(json.dumps({"events": whole["events"][:last]}))


def ask(call: Call, *options: str) -> tuple[int, dict[str, Any]]:
    told = call("patches", "-w", "flow.py", "-j", "1", "--json", *options, "histories")
    assert told.code in (0, 1), told.err
    return told.code, told.json


def test_an_open_run_on_the_old_branch_keeps_the_patch(call: Call, project: Path) -> None:
    keep_open(project, "before", "patched")
    code, found = ask(call)
    (patch,) = found["patches"]
    assert (code, patch["verdict"], patch["reason"]) == (0, "keep", "1 open run takes the old branch")
    assert patch["open"] == {"with": 1, "deprecated": 0, "without": 1}
    assert [(one["file"], one["line"], one["function"]) for one in patch["calls"]] == [("flow.py", 29, "run")]
    (failing,) = patch["trials"]["deprecated"]["failing"]
    assert (failing["verdict"], failing["event_id"]) == ("diverged", 5)
    assert (patch["last_need"]["run_key"], patch["last_need"]["kept_until"]) == (failing["run_key"], None)


def test_a_patch_is_deprecated_deleted_and_gone(call: Call, project: Path) -> None:
    keep_open(project, "patched")
    code, found = ask(call, "--fix", "-o", "patches.diff")
    (patch,) = found["patches"]
    assert (code, patch["verdict"], found["fix"]["removed"]) == (0, "deprecate now", ["by-bike"])
    assert patch["trials"]["without"]["failing"][0]["verdict"] == "diverged"
    git(project, "init", "-q")
    git(project, "apply", "patches.diff")
    assert 'workflow.deprecate_patch("by-bike")\n        shipped = await' in (project / "flow.py").read_text()
    (project / "histories" / "patched.json").unlink()
    keep_open(project, "deprecated")
    _, found = ask(call, "--fix", "-o", "patches.diff")
    assert (found["patches"][0]["verdict"], found["patches"][0]["caution"]) == ("delete", "")
    git(project, "apply", "patches.diff")
    assert "deprecate_patch" not in (project / "flow.py").read_text()
    code, found = ask(call)
    assert (code, found["patches"][0]["verdict"]) == (1, None)
    assert found["patches"][0]["findings"] == ["its call is gone from the code"]
    assert found["patches"][0]["reason"] == "no open run needs it"


def test_a_call_that_went_too_early_is_a_finding(call: Call, project: Path) -> None:
    (project / "flow.py").write_text(GONE)
    keep_open(project, "patched")
    code, found = ask(call)
    assert (code, found["patches"][0]["verdict"]) == (1, None)
    assert "1 open run with its marker do not replay: put the call back" in found["patches"][0]["reason"]


def test_nothing_is_deleted_without_an_open_run_that_shows_it(call: Call, project: Path) -> None:
    (project / "histories").mkdir()
    (project / "histories" / "closed.json").write_bytes((CASE / "history-before.json").read_bytes())
    code, found = ask(call)
    (patch,) = found["patches"]
    assert (code, patch["verdict"], patch["findings"]) == (1, "keep", ["no history has its marker"])
    assert "no open run that can reach it was given" in patch["reason"]
    _, found = ask(call, "--complete")
    (patch,) = found["patches"]
    assert (patch["verdict"], patch["last_need"]["status"]) == ("delete", "Completed")
    assert patch["last_need"]["kept_until"] == "unknown"
    assert "stop them first" in patch["caution"]
    _, found = ask(call, "--complete", "--retention", "1000w")
    assert found["patches"][0]["last_need"]["kept_until"].startswith("20")


def test_a_run_that_cannot_be_verified_keeps_the_patch(call: Call, project: Path) -> None:
    keep_open(project, "patched")
    other = SOURCE.replace("execute_activity(ship_by_bike", "execute_activity(thank")
    (project / "flow.py").write_text(other)
    _, found = ask(call, "--fix")
    assert found["patches"][0]["verdict"] == "keep"
    assert "cannot be verified with the code as it is" in found["patches"][0]["reason"]
    assert found["fix"]["diff"] == ""


def test_an_id_that_only_the_running_code_knows_is_listed(call: Call, project: Path) -> None:
    keep_open(project, "patched")
    (project / "flow.py").write_text(SOURCE.replace('patched("by-bike")', 'patched("by-" + "bike")'))
    code, found = ask(call)
    assert (code, found["patches"][0]["verdict"]) == (0, "keep")
    assert "no call with this ID was found" in found["patches"][0]["reason"]
    assert [(one["file"], one["line"]) for one in found["unreadable"]] == [("flow.py", 29)]


def test_a_check_replays_the_code_without_a_patch(call: Call, project: Path) -> None:
    keep_open(project, "patched", "before")
    before = (project / "flow.py").read_bytes()
    words = {}
    for option in ("--without", "--deprecated"):
        told = call("check", "-w", "flow.py", "-j", "1", option, "by-bike", "--format", "json", "histories")
        assert "the patch by-bike is" in told.err
        assert "flow.py:29" in told.err
        words[option] = {one["events"]: one["verdict"] for one in told.json["runs"]}
    assert words["--without"] == {7: "diverged", 5: "diverged"}
    assert words["--deprecated"] == {7: "ok", 5: "diverged"}
    assert (project / "flow.py").read_bytes() == before
    assert not list(project.rglob("*.pyc")) or call("check", "-w", "flow.py", "histories").code == 0


def test_an_unknown_patch_is_refused(call: Call, project: Path) -> None:
    keep_open(project, "patched")
    for told in (
        call("check", "-w", "flow.py", "--without", "by-car", "histories"),
        call("patches", "-w", "flow.py", "--patch", "by-car", "histories"),
    ):
        assert told.code == 2
        assert "known patches: by-bike" in told.err
    told = call("check", "-w", "flow.py", "--without", "a", "--deprecated", "b", "histories")
    assert (told.code, "exclude each other" in told.err) == (2, True)


def test_people_read_the_verdict_first(call: Call, project: Path) -> None:
    keep_open(project, "patched")
    told = call("patches", "-w", "flow.py", "-j", "1", "histories")
    assert told.out.startswith("1 patch in 1 open run, 0 closed runs and 1 file of code\n")
    assert "by-bike: deprecate now: 1 open run replays with the patch deprecated" in told.out
    assert "  call: flow.py:29 run (asked)" in told.out


def test_twelve_combinations_are_judged_as_by_the_sdk(tmp_path: Path) -> None:
    faults = list(make_project((1, 4, 6, 8, 9, 12, 15, 17, 21, 23, 25, 26), tmp_path).find_faults())
    assert not faults, "\n".join(faults)
