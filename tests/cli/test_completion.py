"""Completion in a shell, and the names under which the command is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replaytool.cli import COMMANDS
from replaytool.cli.completion import SHELLS
from tests.conftest import Call
from tests.support.dev_server import executable

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


def run(*command: str, **more: str) -> str:
    """What a command prints, the way a shell would find it."""
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | more
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(call: Call, shell: str) -> None:
    result = call("completion", shell)
    assert result.code == 0
    assert f"_REPLAYTOOL_COMPLETE={shell}_complete" in result.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.out, text=True, check=True, timeout=20)


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["replaytool", ""], list(COMMANDS)), (["replaytool", "reset", "ver"], ["verify"])],
)
def test_bash_completes(words: list[str], expected: list[str]) -> None:
    script = (
        'eval "$(replaytool completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_replaytool_completion replaytool; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert sorted(run("bash", "-c", script, "bash", *words).split()) == sorted(expected)


@pytest.mark.parametrize("name", [["replaytool"], ["temporal-replaytool"], [sys.executable, "-m", "replaytool"]])
def test_the_command_has_these_names(name: list[str]) -> None:
    assert run(*name, "--version").startswith("replaytool, version ")


@pytest.mark.server
def test_the_temporal_command_takes_it_as_its_own(tmp_path: Path) -> None:
    assert run(executable(), "replaytool", "--version").startswith("replaytool, version ")
    assert run(executable(), "replaytool", "check", "--help").startswith("Usage: replaytool check")
