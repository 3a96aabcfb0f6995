"""Run the same check in a process of its own under each release."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from replaytool.model.releases import Overlay, ReleaseCheck, RunUnderRelease

INSTALLED = "as installed"


def check_under_release(arguments: Sequence[str], overlay: Overlay | None, folder: Path) -> ReleaseCheck:
    """Return what `replaytool check` with these arguments finds with the overlay in front."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    if overlay is not None:
        before = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = overlay.folder + (os.pathsep + before if before else "")
    done = subprocess.run(
        [sys.executable, "-m", "replaytool", *arguments],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        check=False,
    )  # fmt: skip
    name, versions, note = (overlay.requirement, overlay.versions, overlay.note) if overlay else (INSTALLED, {}, "")
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        lines = [line.removeprefix("replaytool: ").strip() for line in done.stderr.splitlines() if line.strip()]
        trouble = " ".join(lines[:3]) or f"the check ended with {done.returncode}"
        return ReleaseCheck(name, versions, note, done.returncode or 2, trouble)
    report: dict[str, Any] = json.loads(done.stdout)
    runs = [_read_run(one) for one in report["runs"]]
    return ReleaseCheck(name, versions, note, done.returncode, "", report["summary"], runs)


def _read_run(one: dict[str, Any]) -> RunUnderRelease:
    told = one.get("divergence") or one.get("failure") or next(iter(one.get("drift") or ()), None) or {}
    return RunUnderRelease(one["run_key"], one["workflow_id"], one["verdict"], one["reason"], told.get("event_id"))
