"""The action, the hooks and the recipes, run the way the services run them."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.support.ci_services import action, blocks, shell
from tests.support.git_repository import git
from tests.support.paths import ROOT
from tests.test_pytest_plugin import broken

pytestmark = pytest.mark.slow

INSTALLED = {"install": "", "python": sys.executable}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with two histories, whose code follows one of them."""
    (folder := tmp_path / "project").mkdir()
    return broken(folder)


def test_the_action_fails_where_a_run_would_break_and_says_why(repository: Path) -> None:
    ran = action(repository, histories="histories", workflows="app/order.py\napp/timers.py\n", **INSTALLED)
    assert (ran.code, ran.outputs["exit-code"]) == (1, "1"), ran.out
    assert "app/order.py:29" in ran.out
    report = json.loads(Path(ran.outputs["report"]).read_text())
    assert (report["summary"]["ok"], report["summary"]["diverged"]) == (1, 1)


def test_the_action_passes_what_follows(repository: Path) -> None:
    ran = action(repository, histories="histories/timers.json", args="--strict --engine sdk", **INSTALLED)
    assert (ran.code, ran.outputs["exit-code"]) == (0, "0"), ran.out
    assert json.loads(Path(ran.outputs["report"]).read_text())["runs"][0]["engine"] == "sdk"


def test_arguments_keep_what_is_quoted(repository: Path) -> None:
    args = """--where "workflow_type = 'Reminder'"\n--format 'html:a report.html' --type "$(touch pwned)Reminder" """
    ran = action(repository, histories="histories", args=args.replace("$(touch pwned)", ""), **INSTALLED)
    assert ran.code == 0, ran.out
    assert (repository / "a report.html").stat().st_size
    assert action(repository, histories="histories", args=args, **INSTALLED).code == 5, "there is no such type"
    assert not (repository / "pwned").exists()
    assert action(repository, histories="histories", args='--where "open', **INSTALLED).code == 1


def test_code_of_others_never_runs_with_secrets(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request_target")
    ran = action(repository, histories="histories", **INSTALLED)
    assert ran.code == 2
    assert "on: pull_request" in ran.out


def test_one_comment_is_written_and_then_updated(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "event.json").write_text('{"pull_request": {"number": 7}}')
    with pull_request_comments() as (address, comments):
        for name, value in (("API_URL", address), ("REPOSITORY", "a/b"), ("EVENT_PATH", str(tmp_path / "event.json"))):
            monkeypatch.setenv(f"GITHUB_{name}", value)
        for histories, code in (("histories", 1), ("histories/timers.json", 0)):
            ran = action(repository, histories=histories, comment="true", token="secret", **INSTALLED)
            assert ran.code == code, ran.out
        person, own = comments
        assert person["body"].endswith("mine")
        assert "diverged" not in own["body"]
        assert own["changes"] == 1
        ran = action(repository, histories="histories/timers.json", comment="true", token="wrong", **INSTALLED)
        assert (ran.code, "may not write" in ran.out) == (0, True)


@contextmanager
def pull_request_comments() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that keeps comments as GitHub does: a person has already copied our marker."""
    comments: list[dict[str, Any]] = [
        {"id": 1, "user": {"type": "User"}, "body": "<!-- replaytool check . -->\nmine", "changes": 0}
    ]

    class Handler(BaseHTTPRequestHandler):
        def answer(self, value: object, status: int = 200) -> None:
            allowed = self.headers["Authorization"] == "Bearer secret"
            self.send_response(status if allowed else 403)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def read_body(self) -> str:
            found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return str(found["body"])

        def do_GET(self) -> None:
            self.answer(comments if self.path.endswith("&page=1") else [])

        def do_POST(self) -> None:
            assert self.path == "/repos/a/b/issues/7/comments"
            comments.append({"id": 2, "user": {"type": "Bot"}, "body": self.read_body(), "changes": 0})
            self.answer({}, 201)

        def do_PATCH(self) -> None:
            assert self.path == "/repos/a/b/issues/comments/2"
            comments[1] |= {"body": self.read_body(), "changes": comments[1]["changes"] + 1}
            self.answer({})

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", comments
    finally:
        server.shutdown()
        server.server_close()


def test_recipes_pin_what_they_use_and_ask_for_little() -> None:
    for recipe in map(yaml.safe_load, _recipes("steps:")):
        assert recipe[True] == "pull_request"
        assert recipe["permissions"] in (
            {"contents": "read"}, {"contents": "read", "pull-requests": "write"},
        )  # fmt: skip
        for step in _steps(recipe):
            version = step.get("uses", "@COMMIT").partition("@")[2]
            assert version == "COMMIT" or re.fullmatch("[0-9a-f]{40}", version)
            assert "cache" not in json.dumps(step)


def test_names_are_never_run(repository: Path) -> None:
    """A file may be called what it likes."""
    shutil.copy(repository / "histories" / "timers.json", repository / "$(touch pwned); `touch pwned`.json")
    ran = action(repository, histories="$(touch pwned); `touch pwned`.json", **INSTALLED)
    assert ran.code == 0, ran.out
    assert not (repository / "pwned").exists()


def test_every_hook_runs_what_it_names(repository: Path) -> None:
    hooks: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert {hook["id"] for hook in hooks} == {"replaytool-check", "replaytool-check-installed"}
    for hook in hooks:
        assert hook["pass_filenames"] is False
        done = shell(f"{hook['entry']} histories/timers.json", repository, {})
        assert done.returncode == 0, done.stderr


def test_the_recipes_for_github_give_the_action_what_it_takes(repository: Path) -> None:
    commit(repository)
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    code = repository / "app" / "order.py"
    code.write_text(code.read_text() + "\n")
    plain, based = (
        step["with"] for recipe in _recipes("steps:") for step in _steps(yaml.safe_load(recipe)) if ours(step)
    )
    ran = action(repository, **plain, **INSTALLED)
    assert ran.code == 1, ran.out
    assert "::error" in ran.out
    assert "app/order.py:29" in ran.out
    based = {name: value.replace("${{ github.base_ref }}", "main") for name, value in based.items()}
    assert based["base"] == "origin/main", "HEAD would be compared with itself"
    ran = action(repository, **based, **INSTALLED)
    assert ran.code == 0, "the base has it too: " + ran.out
    for file in ("replay.html", "replay.sarif"):
        assert (repository / file).stat().st_size


def ours(step: dict[str, Any]) -> bool:
    return "replaytool" in step.get("uses", "")


def commit(folder: Path) -> None:
    """Make it a repository, so that there is a base."""
    author = "-c user.name=someone -c user.email=someone@example.com"
    done = shell(f"git init -q . && git add -A && git {author} commit -q -m all", folder, {})
    assert done.returncode == 0, done.stderr


def test_the_recipe_for_gitlab_runs(repository: Path) -> None:
    (recipe,) = map(yaml.safe_load, _recipes("before_script:"))
    (job,) = recipe.values()
    done = shell("\n".join(job["script"]), repository, {"GITLAB_CI": "true"})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "app/order.py:29" in done.stdout
    for artifact in [*job["artifacts"].get("paths", []), *job["artifacts"].get("reports", {}).values()]:
        assert (repository / artifact).stat().st_size


def _recipes(telling: str) -> list[str]:
    found = [block for block in blocks("docs/ci.md", "yaml") if telling in block]
    assert found
    return found


def _steps(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in recipe["jobs"].values() for step in job["steps"]]
