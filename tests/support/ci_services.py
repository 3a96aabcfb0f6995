"""What a CI service does with our files, as far as a shell can do it: variables set, scripts run in turn."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Ran:
    """What the last step said and left."""

    code: int
    out: str
    outputs: dict[str, str]


def shell(script: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A script as GitHub and GitLab run one: bash, ended by the first failure."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    environment = os.environ | {"PATH": path} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


def action(folder: Path, **given: str) -> Ran:
    """Run the steps of action.yml with these inputs."""
    described = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {name: one["default"] for name, one in described["inputs"].items()}
    assert set(given) <= set(inputs), "inputs that the action does not have"
    temporary = folder.parent / "runner-temp"
    temporary.mkdir(exist_ok=True)
    files = {name: temporary / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(temporary)}
    github |= {name: str(file) for name, file in files.items()}
    code, said = 0, ""
    for step in described["runs"]["steps"]:
        filled = _filled(step, inputs | given)
        done = shell(filled["run"], folder / filled.get("working-directory", "."), github | filled.get("env", {}))
        code, said = done.returncode, said + done.stdout + done.stderr
        if code:
            break
    lines = files["GITHUB_OUTPUT"].read_text().splitlines()
    return Ran(code, said, dict(line.split("=", 1) for line in lines))


def _filled(value: Any, inputs: dict[str, str]) -> Any:
    """The step with the expressions of its variables replaced; in a script there must be none."""
    if isinstance(value, dict):
        assert "${{" not in value.get("run", "")
        return {key: _filled(item, inputs) for key, item in value.items()}
    value = value.replace("${{ github.token }}", "")
    return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: inputs[found[1]], value)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language on a page of the documentation."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return found
