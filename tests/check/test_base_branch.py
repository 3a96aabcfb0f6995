"""What fails a check of a change: only what the change breaks."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Call
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

ORDER = FIXTURES / "activities_in_sequence"
TRIP = FIXTURES / "saga_with_compensation"
BROKEN_ORDER = ORDER / "changed_activity_renamed.py"
BROKEN_TRIP = TRIP / "changed_order_of_undo.py"
RAISES = 'total["total"]'
ADDRESS = "total[object()]"
# One child, and no module imported anew for each run.
QUICK = ("-j", "1", "--sandbox", "off")


def git(folder: Path, *arguments: str) -> str:
    told = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", "-C", str(folder), *told, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(call: Call, tmp_path: Path) -> Path:
    """On main trips are broken; the checkout, on a branch, repairs them and breaks orders."""
    (tmp_path / "app").mkdir()
    (tmp_path / "histories").mkdir()
    for case in (ORDER, TRIP):
        shutil.copy(case / "history.json", tmp_path / "histories" / f"{case.name}.json")
    shutil.copy(ORDER / "workflow.py", tmp_path / "app" / "order.py")
    shutil.copy(BROKEN_TRIP, tmp_path / "app" / "trip.py")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "switch", "-qc", "change")
    shutil.copy(BROKEN_ORDER, tmp_path / "app" / "order.py")
    git(tmp_path, "commit", "-qam", "two")
    shutil.copy(TRIP / "workflow.py", tmp_path / "app" / "trip.py")
    return tmp_path


def by_type(report: Any) -> dict[str, tuple[str, str | None, bool]]:
    return {run["workflow_type"]: (run["verdict"], run["base"], run["known"]) for run in report["runs"]}


def state(repository: Path) -> tuple[str, str, str]:
    return (
        git(repository, "status", "--porcelain"),
        git(repository, "worktree", "list"),
        git(repository, "stash", "list"),
    )


@pytest.mark.parametrize("code", ["app", "app/order.py app/trip.py", "order trip"])
def test_a_change_that_breaks_one_workflow_and_repairs_another(
    call: Call, repository: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    if code == "order trip":
        monkeypatch.syspath_prepend(str(repository / "app"))
    before = state(repository)
    arguments = [
        "check",
        "histories",
        *QUICK,
        *(part for item in code.split() for part in ("-w", item)),
        "--base",
        "main",
    ]
    told = call(*arguments, "--format", "json")
    assert told.code == 1
    assert by_type(told.json) == {"Order": ("diverged", "ok", False), "Trip": ("ok", "diverged", False)}
    assert told.json["base"]["commit"] == git(repository, "rev-parse", "main")
    (trip,) = (run["run_key"] for run in told.json["runs"] if run["workflow_type"] == "Trip")
    assert told.json["repaired"] == [trip]
    assert state(repository) == before, "nobody's checkout is touched"


def test_what_the_base_has_too_is_known_and_does_not_fail(call: Call, repository: Path) -> None:
    shutil.copy(ORDER / "workflow.py", repository / "app" / "order.py")
    moved = "# one line more\n" + BROKEN_TRIP.read_text()
    (repository / "app" / "trip.py").write_text(moved)
    arguments = ("check", "histories", *QUICK, "-w", "app")
    assert call(*arguments).code == 1
    told = call(*arguments, "--base", "main")
    assert told.code == 0
    assert "known: diverged" in told.out
    assert "breaks none of 2 runs" in told.out
    found = call(*arguments, "--base", "main", "--format", "json").json
    assert by_type(found)["Trip"] == ("diverged", "diverged", True)
    assert found["causes"][0]["known"] == 1


def stuck_run(folder: Path, line: str) -> None:
    """A repository whose one run is stuck, because its own code raises; the branch changes a comment."""
    case = FIXTURES / "stuck_on_exception"
    for name in ("app", "histories"):
        (folder / name).mkdir()
    shutil.copy(case / "history.json", folder / "histories" / "stuck.json")
    text = (case / "builds" / "broken.py").read_text()
    assert RAISES in text
    (folder / "app" / "stuck.py").write_text(text.replace(RAISES, line))
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    git(folder, "switch", "-qc", "comment")
    (folder / "app" / "stuck.py").write_text("# a comment\n" + text.replace(RAISES, line))


@pytest.mark.parametrize("line", [RAISES, ADDRESS])
def test_a_run_that_was_stuck_before_is_not_broken_by_the_change(call: Call, tmp_path: Path, line: str) -> None:
    stuck_run(tmp_path, line)
    told = call("check", "histories", *QUICK, "-w", "app", "--base", "main")
    assert told.code == 0, told.out
    assert "breaks none of 1 run" in told.out
    assert "known: failed" in told.out


def test_without_a_base_no_report_says_that_a_change_breaks_something(call: Call, tmp_path: Path) -> None:
    stuck_run(tmp_path, RAISES)
    for name in ("text", "json", "html", "markdown", "github", "junit", "sarif", "gitlab"):
        told = call("check", "histories", *QUICK, "-w", "app", "--format", name)
        assert told.code == 1
        assert "breaks" not in told.out, name


def test_another_way_to_break_what_was_broken_is_new(call: Call, repository: Path) -> None:
    shutil.copy(ORDER / "workflow.py", repository / "app" / "order.py")
    (repository / "app" / "trip.py").write_text((TRIP / "workflow.py").read_text().replace("book_hotel", "book_inn"))
    told = call("check", "histories", *QUICK, "-w", "app", "--base", "main", "--format", "json")
    assert told.code == 1
    assert by_type(told.json)["Trip"] == ("diverged", "diverged", False)


def test_code_that_is_new_had_no_findings_before(call: Call, repository: Path) -> None:
    shutil.copy(BROKEN_TRIP, repository / "app" / "journey.py")
    (repository / "app" / "trip.py").unlink()
    told = call(
        "check", "histories", *QUICK, "-w", "app/journey.py", "-w", "app/order.py", "--base", "main", "--format", "json"
    )
    assert by_type(told.json)["Trip"] == ("diverged", "unverified", False)


def test_a_base_file_that_does_not_load_makes_its_findings_new(call: Call, repository: Path) -> None:
    git(repository, "stash", "-q")
    git(repository, "switch", "-qc", "broken", "main")
    (repository / "app" / "order.py").write_text(f"import nothing_of_this_name\n{BROKEN_ORDER.read_text()}")
    git(repository, "commit", "-qam", "three")
    shutil.copy(BROKEN_ORDER, repository / "app" / "order.py")
    told = call("check", "histories", *QUICK, "-w", "app", "--base", "broken", "--format", "json")
    assert told.code == 1
    assert "nothing_of_this_name" in told.json["base"]["trouble"]
    lost = [run for run in told.json["runs"] if run["base"] == "unverified"]
    assert lost
    assert {run["known"] for run in lost} == {False}
    assert "diverged" in {run["verdict"] for run in lost}


def test_a_generated_file_that_git_ignores_is_named(call: Call, repository: Path) -> None:
    git(repository, "stash", "-q")
    git(repository, "switch", "-qc", "generated", "main")
    (repository / ".gitignore").write_text("app/made.py\n")
    (repository / "app" / "made.py").write_text("VERSION = 1\n")
    for case, name in ((ORDER, "order"), (TRIP, "trip")):
        text = (case / "workflow.py").read_text()
        (repository / "app" / f"{name}.py").write_text(text.replace("\nfrom", "\nfrom made import VERSION\nfrom", 1))
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "three")
    (repository / "app" / "order.py").write_text(
        BROKEN_ORDER.read_text().replace("\nfrom", "\nfrom made import VERSION\nfrom", 1)
    )
    told = call("check", "histories", *QUICK, "-w", "app", "--base", "generated")
    assert told.code == 1
    said = "git does not hold app/made.py, so the base has no such file: commit what the code imports"
    assert said in " ".join((told.out + told.err).split())


def test_a_store_keeps_no_verdict_of_a_checkout_that_is_gone(call: Call, repository: Path) -> None:
    call("load", "histories")
    arguments = ("check", *QUICK, "-w", "app", "--format", "json")
    call(*arguments, "--base", "main")
    git(repository, "stash", "-q")
    git(repository, "switch", "-q", "main")
    (cause,) = call(*arguments).json["causes"]
    assert Path(cause["call_site"]["file"]).exists()


@pytest.mark.parametrize(("ref", "says"), [("nowhere", "not a commit of"), ("--upload-pack=x", "not a commit of")])
def test_a_base_that_is_not_there(call: Call, repository: Path, ref: str, says: str) -> None:
    result = call("check", "histories", *QUICK, "-w", "app", f"--base={ref}")
    assert result.code == 2
    assert says in result.err
    assert "fetch" in result.err


def test_a_tree_is_not_compared_with_itself(call: Call, repository: Path) -> None:
    arguments = ("check", "histories", *QUICK, "-w", "app", "--base")
    (repository / "notes.py").write_text("nothing loads this file\n")
    git(repository, "stash", "-q")
    for more in (("HEAD",), ("change", "--impacted")):
        told = call(*arguments, *more)
        assert told.code == 2
        assert "is HEAD itself" in told.err
        assert "--base origin/main" in told.err
    (repository / "app" / "new.py").write_text((TRIP / "workflow.py").read_text().replace("class Trip", "class New"))
    told = call(*arguments, "HEAD", "--type", "Trip")
    assert "is HEAD itself" not in told.err, "git does not know a file that was loaded"
    assert "base: app/order.py, app/trip.py (2 files) at HEAD" in told.out


def test_the_report_names_the_files_that_were_loaded(call: Call, repository: Path) -> None:
    arguments = ("check", "histories", *QUICK, "-w", "app", "--base", "main")
    commit = git(repository, "rev-parse", "main")[:12]
    assert (
        f"code: app/order.py, app/trip.py (2 files)\nbase: app/order.py, app/trip.py (2 files) at main ({commit})"
        in (call(*arguments).out)
    )
    report = call(*arguments, "--format", "json").json
    assert report["code"]["files"] == report["base"]["files"] == ["app/order.py", "app/trip.py"]


def test_what_was_accepted_does_not_fail_any_more(call: Call, repository: Path) -> None:
    arguments = ("check", "histories", *QUICK, "-w", "app", "--base", "main", "--baseline", "known.json")
    assert call(*arguments).code == 2
    assert call(*arguments, "--update-baseline").code == 0
    told = call(*arguments, "--format", "json")
    assert told.code == 0
    assert by_type(told.json)["Order"] == ("diverged", "ok", True)
    kept = (repository / "known.json").read_text()
    assert [one["workflow_type"] for one in json.loads(kept)["findings"]] == ["Order"]
    (repository / "app" / "order.py").write_text("\n\n" + BROKEN_ORDER.read_text())
    assert call("check", "histories", *QUICK, "-w", "app", "--baseline", "known.json", "--update-baseline").code == 0
    assert (repository / "known.json").read_text() == kept, "lines are no part of it"


def test_a_baseline_says_what_is_gone(call: Call, repository: Path) -> None:
    arguments = ("check", "histories", *QUICK, "-w", "app", "--baseline", "known.json")
    call(*arguments, "--update-baseline")
    shutil.copy(ORDER / "workflow.py", repository / "app" / "order.py")
    told = call(*arguments)
    assert told.code == 0
    assert "1 of 1 findings of the baseline no longer occur" in told.err
    call(*arguments, "--update-baseline")
    assert json.loads((repository / "known.json").read_text())["findings"] == []


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2, "findings": []}', '{"schema": 1}'])
def test_what_is_no_baseline(call: Call, repository: Path, text: str) -> None:
    (repository / "known.json").write_text(text)
    result = call("check", "histories", *QUICK, "-w", "app", "--baseline", "known.json")
    assert result.code == 2
    assert "--update-baseline" in result.err


def test_an_update_needs_a_file(call: Call, repository: Path) -> None:
    assert "--baseline FILE" in call("check", "histories", *QUICK, "-w", "app", "--update-baseline").err
