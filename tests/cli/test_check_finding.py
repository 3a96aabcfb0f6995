"""`check` without a word about where the code and the histories are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.support.git_repository import git
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

ORDER = FIXTURES / "activities_in_sequence"


def make_project(folder: Path, text: str = "") -> None:
    """A project in the src layout, that nobody has installed."""
    (folder / "src" / "shop").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\n' + text)
    (folder / "src" / "shop" / "__init__.py").write_text("")
    shutil.copy(ORDER / "workflow.py", folder / "src" / "shop" / "flows.py")
    (folder / "histories").mkdir()
    shutil.copy(ORDER / "history.json", folder / "histories" / "order.json")


def test_the_code_is_found_and_named(call: Call, tmp_path: Path) -> None:
    make_project(tmp_path)
    result = call("check", "histories")
    assert result.code == 0, result.err
    assert "found in this project: src/shop/flows.py" in result.err


def test_plain_check_reads_the_configured_histories(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path, '[tool.replaytool]\nhistories = ["histories"]\n')
    monkeypatch.chdir(tmp_path / "src")
    result = call("check", "--format", "json")
    assert (result.code, result.json["summary"]["ok"]) == (0, 1), result.err
    assert call("check", "--store", "none.duckdb").code == 2


def test_a_broken_file_is_listed_beside_the_verdicts(call: Call, tmp_path: Path) -> None:
    make_project(tmp_path, '[tool.replaytool]\nhistories = ["histories"]\n')
    (tmp_path / "src" / "shop" / "lost.py").write_text(
        "import not_there\nfrom temporalio import workflow\nworkflow.defn"
    )
    for code in ((), ("-w", "shop"), ("-w", "src")):
        result = call("check", *code)
        assert result.code == 0, result.err
        assert "not imported: src/shop/lost.py: ModuleNotFoundError: No module named 'not_there'" in result.out
    assert "not imported" not in call("check", "--exclude", "lost.py").out
    (tmp_path / "src" / "shop" / "flows.py").unlink()
    result = call("check")
    assert (result.code, "lost.py" in result.err) == (2, True)


def test_the_base_is_searched_the_same_way(call: Call, tmp_path: Path) -> None:
    make_project(tmp_path, '[tool.replaytool]\nhistories = ["histories"]\n')
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "all")
    shutil.copy(ORDER / "changed_activity_renamed.py", tmp_path / "src" / "shop" / "flows.py")
    result = call("check", "--base", "main", "--format", "json")
    (run,) = result.json["runs"]
    assert (result.code, run["verdict"], run["base"]) == (1, "diverged", "ok"), result.err
