"""The list of packages in pyproject.toml names every folder with code: a wheel without one of them does not start."""

from __future__ import annotations

import tomllib

from tests.support.paths import ROOT


def test_every_folder_with_code_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    tops = {"replaytool": "replaytool", "formats": "replaytool.formats", "tui": "replaytool.tui"}
    folders = {
        ".".join([name, *file.relative_to(ROOT / top).parent.parts])
        for top, name in tops.items()
        for file in (ROOT / top).rglob("__init__.py")
    }
    assert set(settings["packages"]) - {"replaytool.loyalty"} == folders
