"""The pytest plugin under each major of pytest, installed for the purpose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_pytest_plugin import JUNIT, assert_fails_at_the_workflow, broken, run

pytestmark = pytest.mark.drill


@pytest.mark.parametrize("major", [8, 9])
def test_both_majors_of_pytest_say_the_same(tmp_path: Path, major: int) -> None:
    version = tmp_path / "pytest"
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(version), f"pytest=={major}.*"]
    if subprocess.run(install, capture_output=True, timeout=300).returncode:
        pytest.skip(f"pytest {major} cannot be installed here")
    (folder := tmp_path / "project").mkdir()
    done = run(broken(folder), *JUNIT, pythonpath=str(version))
    assert f"pytest-{major}." in done.stdout
    assert_fails_at_the_workflow(folder, done)
