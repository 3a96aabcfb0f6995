"""The page in a real browser, which asks no network for anything and says nothing on its console."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from replaytool.render import render
from tests.conftest import Call
from tests.render.report.test_reports import hostile
from tests.support.paths import FIXTURES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr", "--v=0",
)  # fmt: skip

pytestmark = [pytest.mark.drill, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


def opened(page: Path) -> tuple[str, list[str]]:
    """What stands in the page once a browser has it, and what the browser said about it."""
    assert CHROMIUM is not None
    profile = page.parent / "profile"
    arguments = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_of_a_failing_check(call: Call, tmp_path: Path) -> None:
    case = FIXTURES / "activities_in_sequence"
    code = case / "changed_activity_renamed.py"
    assert call("check", case / "history.json", "-w", code, "--format", "html:r.html").code == 1
    dom, console = opened(tmp_path / "r.html")
    assert console == []
    assert "event 11: first mismatch" in dom


def test_a_hostile_page_does_nothing(tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    page.write_text(render(hostile(), "html"))
    dom, console = opened(page)
    assert console == []
    assert "<script" not in dom
    assert "<img" not in dom


def test_a_page_that_does_something_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    page.write_text(render(hostile(), "html").replace("<main>", "<main><script>document.title = 'x'</script>"))
    _, console = opened(page)
    assert any("Content Security Policy" in line for line in console), "the policy stops it, and says so"
