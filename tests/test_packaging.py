"""What pyproject.toml lists is what the repository holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from replaytool import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    found = {
        ".".join((name, *init.parent.relative_to(ROOT / folder).parts))
        for name, folder in SETUPTOOLS["package-dir"].items()
        for init in (ROOT / folder).rglob("__init__.py")
        if "." in name or not any(part.is_symlink() for part in (init.parent, *init.parent.parents) if part != ROOT)
    }
    assert found == set(SETUPTOOLS["packages"])


def test_links_agree_with_the_package_table() -> None:
    for name, folder in SETUPTOOLS["package-dir"].items():
        link = ROOT / name.replace(".", "/")
        if link.is_file():
            pytest.skip("this checkout was made without links (git config core.symlinks)")
        assert link.resolve() == ROOT / folder


def test_the_version_stands_in_two_places_and_is_one() -> None:
    assert PROJECT["project"]["version"] == __version__


def test_no_file_is_too_long() -> None:
    """A file that wants to become a god file is redesigned before it grows on."""
    folders = ("replaytool", "formats", "tui", "benchmarks", "fixtures")
    long = {
        str(path.relative_to(ROOT)): count
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if (count := path.read_text().count("\n")) > 400
    }
    assert long == {}
