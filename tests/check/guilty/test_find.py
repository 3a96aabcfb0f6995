"""`check --guilty` names the edit that breaks runs, above the symptoms, in every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from xml.etree import ElementTree

import pytest

from replaytool.check.check_runs import CheckPlan
from replaytool.check.guilty.find import GuiltyRequest
from replaytool.cli.demo import prepare_demo_folder
from replaytool.config import Settings
from replaytool.engines import CodeSpec
from replaytool.ingest import LoadObserver
from replaytool.model.guilty import GuiltySearch
from replaytool.session import Session
from replaytool.store.run_filters import RunFilter
from replaytool.workers.pool import WorkerLimits
from tests.conftest import Call
from tests.drills.guilty_drill import KINDS, run_drill
from tests.support.git_repository import git

pytestmark = pytest.mark.slow
FORMATS = ("json", "text", "github", "gitlab", "sarif", "markdown", "html", "junit", "brief", "jsonl")


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's pull request, as a branch: TRIPS_PER_MAIL = 3 became 2 on line 9."""
    (tmp_path / "demo").mkdir()
    prepare_demo_folder(tmp_path / "demo")
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "demo" / "histories").rename(project / "histories")
    commit(project, {"wf.py": (tmp_path / "demo" / "code" / "v3.py").read_text()}, "main")
    commit(project, {"wf.py": (tmp_path / "demo" / "code" / "pull_request.py").read_text()}, "change")
    monkeypatch.chdir(project)
    return project


def commit(project: Path, files: dict[str, str], branch: str) -> None:
    for path, text in files.items():
        (project / path).write_text(text)
    if branch == "main":
        git(project, "init", "-q", "-b", "main")
    else:
        git(project, "checkout", "-q", "-b", branch)
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", branch)


def check(call: Call, *options: str) -> Any:
    told = call("check", "-w", "wf.py", "--base", "main", "-j", "1", *options, "histories")
    assert told.code == 1, told.err
    return told


def test_the_constant_of_the_demo_is_named_alone_in_every_format(call: Call, demo: Path) -> None:
    outputs = [option for name in FORMATS for option in ("--format", f"{name}:report.{name}")]
    check(call, "--guilty", *outputs)
    told = {name: (demo / f"report.{name}").read_text() for name in FORMATS}
    report = json.loads(told["json"])
    (found,) = report["guilty"]
    (hunk,) = found["hunks"]
    place = {name: hunk[name] for name in ("path", "old_start", "old_lines", "new_start", "new_lines")}
    assert place == {"path": "wf.py", "old_start": 9, "old_lines": 1, "new_start": 9, "new_lines": 1}
    assert hunk["commit"] == git(demo, "rev-parse", "HEAD")
    broken = {one["run_key"] for one in report["runs"] if one["verdict"] == "diverged"}
    assert (set(found["breaks"]), set(found["heals"]), found["alone"]) == (broken, broken, True)
    assert len(broken) == 8
    assert report["guilty_search"] | {"versions": 0, "replays": 0} == {
        "note": "", "complete": True, "edits": 1, "versions": 0, "replays": 0, "fix": None, "unexplained": [],
    }  # fmt: skip
    assert told["text"].startswith("✗ guilty: the edit at wf.py:9 breaks 8 runs\n")
    assert "  -TRIPS_PER_MAIL = 3\n  +TRIPS_PER_MAIL = 2\n" in told["text"]
    assert told["github"].startswith("::error title=replaytool guilty edit,file=wf.py,line=9::")
    assert json.loads(told["gitlab"])[0]["location"] == {"path": "wf.py", "lines": {"begin": 9}}
    result = json.loads(told["sarif"])["runs"][0]["results"][0]
    assert result["ruleId"] == "guilty"
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 9
    symptoms = {one["physicalLocation"]["region"]["startLine"] for one in result["relatedLocations"]}
    assert symptoms == {cause["call_site"]["line"] for cause in report["causes"]}
    suite = ElementTree.fromstring(told["junit"])[0]
    guilty = [one.get("value") for one in suite.iter("property") if one.get("name") == "guilty"]
    assert guilty == ["the edit at wf.py:9 breaks 8 runs"]
    assert "+TRIPS_PER_MAIL = 2" in (suite.findtext("system-out") or "")
    assert json.loads(told["brief"])["guilty"][0]["edits"][0]["where"] == "wf.py:9"
    assert json.loads(told["jsonl"].splitlines()[0])["guilty"] == report["guilty"]
    assert told["markdown"].index("Guilty") < told["markdown"].index("diverged&#58;")
    assert told["html"].index('<span class="word">guilty</span>') < told["html"].index('<span class="word">diverged')


def test_without_a_base_or_a_finding_no_edit_is_named(call: Call, demo: Path) -> None:
    alone = call("check", "histories", "-w", "wf.py", "--guilty")
    assert alone.code == 2
    assert "--guilty needs --base" in alone.err
    (demo / "wf.py").write_text(
        (demo / "wf.py").read_text().replace("TRIPS_PER_MAIL = 2", "TRIPS_PER_MAIL = 3  # as before")
    )
    told = call("check", "histories", "-w", "wf.py", "--base", "main", "--guilty", "--format", "json")
    assert (told.code, told.json["guilty"]) == (0, [])
    assert told.json["guilty_search"]["note"] == "no run breaks that passed with the base"


def test_what_failed_before_is_nobodys_fault(call: Call, demo: Path) -> None:
    git(demo, "checkout", "-q", "-b", "later")
    (demo / "wf.py").write_text((demo / "wf.py").read_text() + "\nUNUSED = 1\n")
    told = call("check", "histories", "-w", "wf.py", "--base", "change", "--guilty", "--format", "json")
    assert (told.code, told.json["guilty"]) == (0, [])
    assert told.json["guilty_search"]["note"] == "no edit of this change: 8 runs failed in the same way at change"


def test_a_search_that_runs_out_of_time_says_so(demo: Path) -> None:
    plan = CheckPlan(CodeSpec(("wf.py",), folder=str(demo)), limits=WorkerLimits(1))
    sources = [str(demo / "histories" / "rider-02.json")]
    report, _ = Session(Settings(folder=demo)).check_runs(
        sources, RunFilter(), plan, LoadObserver(), lambda *_: None, "main", guilty=GuiltyRequest(seconds=0.0)
    )
    assert report.guilty == GuiltySearch(
        note="the time limit ended the search", complete=False, edits=1, unexplained=ANY
    )


def test_drift_is_searched_when_asked(call: Call, demo: Path) -> None:
    text = (demo / "wf.py").read_text()
    git(demo, "checkout", "-q", "main")
    changed = (demo / "wf.py").read_text().replace("timedelta(seconds=10)", "timedelta(seconds=11)")
    assert changed != text
    (demo / "wf.py").write_text(changed + "\nUNUSED = 1\n")
    git(demo, "checkout", "-q", "-b", "slower")
    git(demo, "commit", "-q", "-a", "-m", "slower")
    told = call("check", "histories", "-w", "wf.py", "--base", "main", "--guilty=drift", "--format", "json")
    (found,) = told.json["guilty"]
    assert [hunk["added"] for hunk in found["hunks"]] == [["SHORT = timedelta(seconds=11)\n"]]


def test_a_pull_request_has_the_truth_of_all_subsets() -> None:
    for result in run_drill([KINDS.index("together")]):
        assert result.is_right, result
        assert not result.innocent, result


@pytest.mark.drill
def test_a_hundred_and_forty_pull_requests() -> None:
    results = list(run_drill(range(140)))
    assert sum(one.is_right for one in results) >= 0.98 * len(results)
    assert not [one.request.name for one in results if one.innocent]
