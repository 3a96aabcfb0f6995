"""`debug` in a script: what a workflow held, printed, and Python's own debugger in its code."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

LOYALTY = FIXTURES / "loyalty"
RUN = "loyalty-rider-02"


def code(*builds: str) -> list[str]:
    return [f"--code={build}={LOYALTY / 'builds' / build}.py" for build in builds]


ALL = code("v1", "v2", "v3")


@pytest.fixture
def debug(call: Call) -> Call:
    assert call("load", *LOYALTY.glob("history*.json")).code == 0
    return lambda *arguments: call("debug", RUN, *arguments)


def line_of(text: str, build: str = "v2") -> int:
    lines = (LOYALTY / "builds" / f"{build}.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_what_went_wrong_is_found_and_blamed(debug: Call) -> None:
    told = debug(*ALL, "--find", "points == 0 and trips", "--blame", "points")
    assert told.code == 0
    assert "first true after the task completed at event 28, build v2" in told.out
    assert "points: 70 → 0 in the task completed at event 28, build v2" in told.out
    assert f"v2.py:{line_of('scored * 0')} in Loyalty.score" in told.out
    whole = debug(*ALL, "--find", "points == 0 and trips", "--blame", "points", "--watch", "len(trips)", "--json").json
    assert (whole["find"]["event_id"], whole["find"]["build_id"], whole["find"]["last_false"]) == (28, "v2", 24)
    blame = whole["blame"]
    assert (blame["event_id"], blame["build_id"], blame["before"], blame["after"]) == (28, "v2", 70, 0)
    assert blame["call_site"]["line"] == line_of("scored * 0")
    assert [step["value"] for step in whole["watch"]] == [0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5]


def test_the_state_at_an_event_is_printed_with_both_sides(debug: Call) -> None:
    told = debug(*ALL, "--no-tui", "--at", "28")
    assert told.code == 0
    for text in (
        "signal trip, event 25, handled at event 28",
        "event 28: under v2 points went from 70 to 0 (since event 14)",
        "points: 0",
        f"v2.py:{line_of('execute_activity(score_trip')} in Loyalty.score: rider='rider-02', km=5",
        "activity score_trip, event 29",
    ):
        assert text in told.out
    at = debug(*ALL, "--json", "--at", "28").json["at"]
    assert at["state"] == {"points": 0, "trips": [3, 4], "asked": [], "left": False, "gifts": []}
    assert at["locals"]["km"] == 5
    assert at["replayed"]["build_id"] == "v2"
    assert [one["name"] for one in at["signals"]] == ["trip", "trip", "trip"]


def test_an_event_that_the_code_has_not_seen_says_when_it_will(debug: Call) -> None:
    assert debug(*ALL, "--json", "--at", "25").json["at"]["pending_until"] == 28
    assert (
        "the code processes this event in the task completed at event 28" in debug(*ALL, "--no-tui", "--at", "25").out
    )


def test_one_code_serves_all_builds_and_the_header_says_so(debug: Call) -> None:
    told = debug("--workflows", LOYALTY / "builds" / "v1.py", "--no-tui", "--at", "28")
    assert "one code for all builds (v1, v2, v3), whatever code they had" in told.out
    assert "points: 70" in told.out


def test_builds_come_from_the_configuration(debug: Call, tmp_path: Path) -> None:
    shutil.copytree(LOYALTY / "builds", tmp_path / "old")
    builds = ", ".join(f'{build} = "old/{build}.py"' for build in ("v1", "v2", "v3"))
    (tmp_path / "pyproject.toml").write_text(f"[tool.replaytool]\nbuilds = {{{builds}}}\n")
    assert debug("--json", "--find", "points == 0 and trips").json["find"]["event_id"] == 28


def test_nothing_found_and_builds_without_code(debug: Call) -> None:
    never = debug(*ALL, "--find", "points == 7", "--json")
    assert never.code == 1
    assert never.json["find"]["event_id"] is None
    misspelt = debug(*ALL, "--find", "pionts")
    assert misspelt.code == 1
    assert "did you mean points?" in misspelt.out
    assert debug(*ALL, "--blame", "nothing.there").code == 1
    part = debug(*code("v1"), "--no-tui", "--at", "28")
    assert part.code == 0
    assert "no code is named for build v2" in part.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--find", "points"], "expressions need workflow code"),
        ([*ALL, "--find", "points ="], "is not an expression"),
        ([*ALL, "--find", "trips.clear()"], "changes something"),
        ([*ALL, "--watch", "points", "--break", "failure"], "--break works on the screen only"),
        (["--code", "v1", "--no-tui"], "must name a build"),
        ([*ALL, "--pdb"], "stops at one event"),
        (["--pdb", "--at", "28"], "needs workflow code"),
        ([*ALL, "--no-tui", "--at", "99"], "no event 99"),
        (["--code=v1=nowhere.py", "--no-tui", "--at", "8"], "nowhere.py"),
        (["--git", "--no-tui"], "where the workflows are"),
    ],
)
def test_what_a_person_must_mend(debug: Call, arguments: list[str], says: str) -> None:
    told = debug(*arguments)
    assert (told.code, told.out) == (2, "")
    assert says in told.err


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_builds_are_commits_of_a_repository(debug: Call, tmp_path: Path) -> None:
    """Each build is the same file at a tag; the checkout holds something else, and stays as it is."""
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'hooked'}\n")
    hook.chmod(0o755)
    for build in ("v1", "v2", "v3"):
        shutil.copy(LOYALTY / "builds" / f"{build}.py", repository / "loyalty.py")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", build)
        git(repository, "tag", f"release-{build}")
    (repository / "loyalty.py").write_text("raise RuntimeError('not this one')\n")
    os.chdir(repository)
    workflows = ["--workflows", "loyalty.py", "--store", tmp_path / "replaytool.duckdb"]
    given = [*workflows, "--git-ref", "release-{build}"]
    told = debug(*given, "--find", "points == 0 and trips", "--blame", "points", "--json").json
    assert (told["find"]["event_id"], told["find"]["build_id"]) == (28, "v2")
    assert (told["blame"]["event_id"], told["blame"]["build_id"]) == (28, "v2")
    assert told["blame"]["call_site"]["file"] == "loyalty.py"
    assert told["blame"]["call_site"]["line"] == line_of("scored * 0")
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert (repository / "loyalty.py").read_text().startswith("raise")
    assert not (tmp_path / "hooked").exists()
    commit = git(repository, "rev-parse", "release-v2")
    for unknown in (debug(*workflows, "--git", "--no-tui", "--at=28"), debug(*workflows, "--git-ref=^v2$", "--no-tui")):
        assert "is not a commit of" in unknown.out
    assert commit[:9] in debug(*given, "--no-tui", "--at=28").out


def test_pdb_stops_in_the_code_just_before_the_task_runs(debug: Call, tmp_path: Path) -> None:
    """In a terminal, as a person has it."""
    debug("--no-tui")
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "replaytool", "debug", RUN, *ALL, "--pdb", "--at", "34"],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    try:
        assert "self.points = scored * 0" in _until(mine, "(Pdb)")
        assert "(50, [3, 4])" in _typed(mine, "p scored, self.trips")
        assert "self.trips.append(km)" in _typed(mine, "n")
        assert "0" in _typed(mine, "p self.points")
        os.write(mine, b"c\n")
        assert "the replay has ended" in _until(mine, "has ended")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(mine)


def _typed(terminal: int, text: str) -> str:
    os.write(terminal, f"{text}\n".encode())
    return _until(terminal, "(Pdb)")


def _until(terminal: int, wanted: str) -> str:
    found, until = "", time.monotonic() + 90
    while wanted not in found:
        assert time.monotonic() < until, found
        if select.select([terminal], [], [], 1)[0]:
            found += os.read(terminal, 4096).decode("utf-8", "replace")
    return found
