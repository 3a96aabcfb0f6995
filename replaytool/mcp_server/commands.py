"""Run one command of ours in a process of its own, and read its JSON: nothing it prints can reach the protocol."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOT_HANDED_ON = ("TEMPORAL_", "REPLAYTOOL_", "GITHUB_")
"""Settings with which a command would contact a server or write for a CI system."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended."""

    code: int
    out: str
    error: str
    """Its message, without the word of the program; "" if it has none."""

    @property
    def json(self) -> Any:
        """What it printed."""
        return json.loads(self.out)

    @property
    def has_output(self) -> bool:
        """Whether there is an answer: findings are one too."""
        return self.code in (0, 1, 5) and bool(self.out.strip())


def run_command(arguments: Sequence[str], folder: Path, seconds: float) -> CommandResult:
    """Run `replaytool` with these arguments; after the time, end it with all that it has started."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
    process = subprocess.Popen(
        [sys.executable, "-m", "replaytool", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=folder, env=environment, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        out, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return CommandResult(3, "", f"it took longer than {seconds:g} s and was ended")
    return CommandResult(process.returncode, out, _shorten_error(error))


def _shorten_error(text: str) -> str:
    lines = [line.removeprefix("replaytool: ") for line in text.splitlines() if line.strip()]
    return " ".join(line.strip() for line in lines[:3])
