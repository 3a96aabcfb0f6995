"""What pyproject.toml lists is what the repository holds, and what is built of it is complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from replaytool import __version__
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    found = {
        ".".join((name, *init.parent.relative_to(ROOT / folder).parts))
        for name, folder in SETUPTOOLS["package-dir"].items()
        for init in (ROOT / folder).rglob("__init__.py")
        if "." in name or not any(part.is_symlink() for part in (init.parent, *init.parent.parents) if part != ROOT)
    }
    assert found == set(SETUPTOOLS["packages"]) - {"replaytool.loyalty"}, "that one holds data"


def test_links_agree_with_the_package_table() -> None:
    for name, folder in SETUPTOOLS["package-dir"].items():
        link = ROOT / name.replace(".", "/")
        if link.is_file():
            pytest.skip("this checkout was made without links (git config core.symlinks)")
        assert link.resolve() == ROOT / folder


def test_the_version_stands_in_two_places_and_is_one() -> None:
    assert PROJECT["project"]["version"] == __version__


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source archive of what git holds, and a wheel that was made of it."""
    folder = tmp_path_factory.mktemp("built")
    for file in tracked():
        (folder / "tree" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, folder / "tree" / file, follow_symlinks=False)
    archive = folder / build("build_sdist", folder / "tree", folder)
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return archive, folder / build("build_wheel", unpacked, folder)


def build(hook: str, tree: Path, target: Path) -> str:
    """Call one hook of the build backend, as pip does."""
    script = f"from setuptools import build_meta; print(build_meta.{hook}({str(target)!r}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tree, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def tracked() -> list[str]:
    """What git holds, and what is about to be added to it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [file for file in done.stdout.splitlines() if (ROOT / file).exists()]


def test_the_source_archive_holds_all_that_git_holds(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    links = {"replaytool/formats", "replaytool/loyalty", "replaytool/tui"}
    assert {file for file in tracked() if file not in links} - held == set()
    assert links & {name for name in held if "." in name} == set()


def test_the_wheel_holds_the_packages_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    moved = {f"{folder}/": f"{name.replace('.', '/')}/" for name, folder in SETUPTOOLS["package-dir"].items()}
    expected = {
        target + file.removeprefix(folder)
        for file in tracked()
        for folder, target in moved.items()
        if file.startswith(folder) and not (ROOT / file).is_symlink()
    }
    assert held == expected


def test_the_wheel_runs_its_demo_where_it_is_installed(built: tuple[Path, Path], tmp_path: Path) -> None:
    """Its own files are found, and not those of this checkout."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", "site", str(built[1])]
    subprocess.run(pip, cwd=tmp_path, check=True, timeout=120)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    for arguments, says in ((["doctor"], f"in {tmp_path / 'site'}"), (["demo"], "written to plan.json")):
        command = [sys.executable, "-m", "replaytool", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
        assert (done.returncode, says in done.stdout) == (0, True), done.stdout + done.stderr
