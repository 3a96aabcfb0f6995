"""The hooks, taken by pre-commit itself, which is installed for the purpose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ci_services import blocks, shell
from tests.support.paths import ROOT
from tests.test_pytest_plugin import broken

pytestmark = pytest.mark.drill


def test_pre_commit_takes_the_hook(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(tools), "pre-commit"]
    if subprocess.run(install, capture_output=True, timeout=300).returncode:
        pytest.skip("pre-commit cannot be installed here")
    (folder := tmp_path / "project").mkdir()
    project = broken(folder)
    (recipe,) = (block for block in blocks("docs/ci.md", "yaml") if "hooks:" in block)
    rev = shell("git rev-parse HEAD", ROOT, {}).stdout.strip()
    recipe = recipe.replace("https://github.com/OWNER/replaytool", str(ROOT)).replace("rev: main", f"rev: {rev}")
    (project / ".pre-commit-config.yaml").write_text(recipe)
    script = f"git init -q . && git add -A && {sys.executable} -m pre_commit run --all-files --hook-stage pre-push"
    done = shell(script, project, {"PYTHONPATH": str(tools), "PRE_COMMIT_HOME": str(tmp_path / "home")})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "app/order.py:29" in done.stdout
