"""The first hour in somebody's project: from nothing to the first green, and to the first red at the right line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.support.paths import FIXTURES
from tests.support.project_shapes import SHAPES

pytestmark = pytest.mark.slow


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", SHAPES)
def test_two_commands_without_a_flag_lead_to_green_and_to_red(call: Call, tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    shape.write_files(tmp_path)
    before = (tmp_path / "pyproject.toml").read_text() if (tmp_path / "pyproject.toml").exists() else ""
    histories = [FIXTURES / case / "history.json" for case in shape.cases]

    started = call("init", *histories)
    assert started.code == 0, started.out + started.err
    assert f"{len(histories)} ok" in started.out
    assert "git add pyproject.toml histories/" in started.out
    written = (tmp_path / "pyproject.toml").read_text()
    assert written.startswith(before)
    settings = tomllib.loads(written)["tool"]["replaytool"]
    assert settings == {**shape.configured, "histories": ["histories/"]}

    line = shape.break_code(tmp_path)
    result = call("check")
    assert result.code == 1, result.out + result.err
    assert f"{shape.edited}:{line} in" in result.out
    assert "1 diverged" in result.out
