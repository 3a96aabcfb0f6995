from __future__ import annotations

from pathlib import Path

import pytest

from replaytool.config import load_settings
from replaytool.errors import ReplaytoolError


def project(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_defaults(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path, {}).store == Path("replaytool.duckdb")


def test_options_over_environment_over_project(tmp_path: Path) -> None:
    project(tmp_path, '[tool.replaytool]\nstore = "project.duckdb"\nconverter = "a:b"\n')
    deeper = tmp_path / "a" / "b"
    deeper.mkdir(parents=True)
    assert load_settings({}, deeper, {}).store == tmp_path / "project.duckdb"
    assert load_settings({}, deeper, {"REPLAYTOOL_STORE": "env.duckdb"}).store == Path("env.duckdb")
    merged = load_settings({"store": "option.duckdb", "converter": None}, deeper, {"REPLAYTOOL_STORE": "env.duckdb"})
    assert merged.store == Path("option.duckdb")
    assert merged.converter == "a:b"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[tool.replaytool]\nstroe = "x"', "did you mean 'store'"),
        ("[tool.replaytool]\nstore = 3", "must be text"),
        ("[tool.replaytool]\nprices = 3", "prices per million tokens"),
        ("[tool.replaytool.prices]\ngpt = {input = 1}", "cached is optional"),
        ("[tool.replaytool.prices]\ngpt = {input = 1, output = true}", "prices per million tokens"),
        ("[tool.replaytool.prices]\ngpt = {input = 1, output = nan}", "prices per million tokens"),
        ("[tool.replaytool.prices]\ngpt = {input = 1, output = 1, out = 1}", "prices per million tokens"),
        ("[tool.replaytool", "cannot read"),
        ("[tool]\nreplaytool = 3", "is not a table"),
    ],
)
def test_a_bad_project_file_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ReplaytoolError) as caught:
        load_settings({}, project(tmp_path, text), {})
    assert says in f"{caught.value.message} {caught.value.hint}"
    assert "pyproject.toml" in caught.value.message or "tool.replaytool" in caught.value.message


def test_a_secret_is_never_shown() -> None:
    assert "hunter2" not in repr(load_settings({}, Path("/"), {"REPLAYTOOL_CODEC_AUTH": "hunter2"}))


def test_prices_are_by_model(tmp_path: Path) -> None:
    project(tmp_path, '[tool.replaytool.prices]\n"gpt-4.1" = {input = 2, output = 8.5, cached = 0.5}\n')
    assert load_settings({}, tmp_path, {}).prices == {"gpt-4.1": {"input": 2, "output": 8.5, "cached": 0.5}}
