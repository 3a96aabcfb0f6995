"""The real integrations of agent frameworks: histories recorded with their plugins, judged as the SDK's Replayer does.

They are an extra: `pip install -e '.[integrations]'`. Without it these tests are skipped. One process judges all
programs and edits of a framework, since importing a framework takes longer than all its replays.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.support.integrations import FRAMEWORKS, INTEGRATIONS, describe_frameworks, list_edits, list_engines
from tests.support.paths import ROOT

SDK_SAYS = {"ok": "ok", "drift": "ok", "diverged": "diverged", "failed": "failed"}
_ROOM = 300
"""Seconds."""


PROJECT = """
[tool.replaytool]
workflows = ["workflow.py"]
replayer = "settings:replayer"

[tool.pytest.ini_options]
replay_histories = ["history.json"]
"""


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_its_edits_are_judged_as_by_the_sdk(framework: str, tmp_path: Path) -> None:
    skip_without(FRAMEWORKS[framework].module)
    command = [sys.executable, "-m", "tests.support.judge_integrations", framework, str(tmp_path)]
    # The histories are recorded with this seed: Pydantic AI makes lists from sets, whose order is the seed's.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=_ROOM, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == {
        name: {
            title: {"SDK": SDK_SAYS[one.verdict], **dict.fromkeys(list_engines(title), one.verdict)}
            for title, one in list_edits(program).items()
        }
        for name, program in FRAMEWORKS[framework].programs.items()
    }


@pytest.mark.slow
def test_the_other_commands_work_with_a_framework(tmp_path: Path, call: Call) -> None:
    skip_without("temporalio.langgraph")
    for file in (INTEGRATIONS / "langgraph_functional").glob("*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "record.py").unlink()
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert call("load", "history.json").code == 0
    shown = call("debug", "desk-4", "--at", "17", "--json")
    assert shown.json["at"]["locals"]["found"] == "Order 17 is on its way.", shown.err
    simulated = call("simulate", "desk-4", "--from", "11", "--json")
    assert (simulated.json["prefix_verdict"], simulated.json["again"]) == ("ok", {"nodes.write": 1, "send_answer": 1})
    planned = call("reset", "plan", "--before-activity", "send_answer", "-w", "workflow.py", "--json")
    (item,) = planned.json["items"]
    assert (item["included"], item["repeats"]) == (True, {"send_answer": 1}), planned.out
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=_ROOM, check=False)
    assert "1 passed" in done.stdout, done.stdout


def skip_without(module: str) -> None:
    if not is_installed(module):
        pytest.skip(f"{module} is not installed: pip install -e '.[integrations]'")


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_the_guide_has_the_table() -> None:
    assert "\n".join(describe_frameworks()) in (ROOT / "docs" / "guide.md").read_text()
