"""`init` writes what the project uses, runs none of it, and overwrites nothing."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from replaytool.engines import open_project
from replaytool.project.find_setup import find_setup
from tests.conftest import Call
from tests.support.paths import FIXTURES
from tests.support.project_shapes import SHAPES, make_worker

ORDER = FIXTURES / "activities_in_sequence"


def write_project(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("argument", "more", "found"),
    [
        ("data_converter=codec.made", "from app import codec\n", "app.codec:made"),
        ("data_converter=codec.make()", "import app.codec as codec\n", "app.codec:make"),
        ("data_converter=DataConverter(payload_codec=X())", "from app.codec import X\n", "app.codec:X"),
        ("data_converter=DataConverter.default", "", None),
        ("data_converter=DataConverter(payload_codec=X(1))", "from app.codec import X\n", ""),
        ("data_converter=here", "here = object()\n", "worker:here"),
    ],
)
def test_the_converter_is_what_the_client_is_given(tmp_path: Path, argument: str, more: str, found: str | None) -> None:
    more = f"from temporalio.converter import DataConverter\n{more}"
    worker = make_worker("flows", "Order", "q", client=f", {argument}", more=more)
    write_project(tmp_path, {"app/__init__.py": "", "app/codec.py": "raise SystemExit\n", "worker.py": worker})
    setup = find_setup(open_project(tmp_path))
    assert setup.converter == (found or None)
    assert bool(setup.left) == (found == "")


def test_plugins_are_named_and_a_script_that_starts_at_once_is_not(tmp_path: Path) -> None:
    worker = make_worker(
        "flows", "Order", "q", worker=", plugins=[*common, Own()]", more="from plugs import Own, common\n"
    )
    write_project(tmp_path, {"plugs.py": "common = [print]\nclass Own: ...\n", "worker.py": worker})
    assert find_setup(open_project(tmp_path)).plugins == ("plugs:common", "plugs:Own")
    write_project(tmp_path, {"plugs.py": "common = [print]\nclass Own: ...\nprint()\n"})
    setup = find_setup(open_project(tmp_path))
    assert (setup.plugins, setup.left) == ((), ("worker.py:13: plugins",))


@pytest.mark.slow
def test_nothing_is_overwritten(call: Call, tmp_path: Path) -> None:
    SHAPES["src layout"].write_files(tmp_path)
    text = '[tool.replaytool]\nhistories = ["mine"]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / ".gitlab-ci.yml").write_text("mine: {}\n")
    shutil.copytree(ORDER, tmp_path / "mine", ignore=shutil.ignore_patterns("*.py", "verdict.json"))
    result = call("init", "--ci", "gitlab")
    assert result.code == 0, result.err
    assert "left as it is" in result.out
    assert (tmp_path / "pyproject.toml").read_text() == text
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    (job,) = yaml.safe_load((tmp_path / ".gitlab" / "replaytool.yml").read_text()).values()
    assert job["script"][0].startswith('replaytool check --base "$CI_MERGE_REQUEST_DIFF_BASE_SHA"')


@pytest.mark.slow
def test_histories_of_the_project_stay_where_they_are(call: Call, tmp_path: Path) -> None:
    SHAPES["package"].write_files(tmp_path)
    (tmp_path / "tests" / "histories").mkdir(parents=True)
    shutil.copy(ORDER / "history.json", tmp_path / "tests" / "histories" / "order.json")
    result = call("init", "--ci", "github")
    assert (result.code, "1 ok" in result.out) == (0, True), result.out + result.err
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]["replaytool"]
    assert settings["histories"] == ["tests/histories/"]
    written = yaml.safe_load((tmp_path / ".github" / "workflows" / "replaytool.yml").read_text())
    assert written["permissions"] == {"contents": "read"}
    assert call("init", "--ci", "github").out.count("left as it is") == 2


@pytest.mark.slow
def test_without_histories_it_says_how_to_get_some(call: Call, tmp_path: Path) -> None:
    SHAPES["flat scripts"].write_files(tmp_path)
    result = call("init")
    assert result.code == 0, result.err
    assert "replaytool init --address" in result.out
    assert call("init", "--ci", "nope").code == 2


def test_a_folder_without_workflows_is_left_alone(call: Call, tmp_path: Path) -> None:
    result = call("init")
    assert (result.code, "no workflow found" in result.err) == (2, True)
    assert list(tmp_path.iterdir()) == []
