"""One workflow in projects of every layout, made importable in every way that people use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.corpus.sleeper_run import history
from tests.support.git_repository import git

WORKFLOWS = """
from datetime import timedelta

from temporalio import workflow

from {rates} import DEAR, double


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self, seconds: int) -> int:
        if seconds > DEAR:
            return double(seconds)
        await workflow.sleep(timedelta(seconds=1))
        return 7
"""
RATES = """
DEAR = 100


def double(value: int) -> int:
    return 2 * value
"""
BREAKING = ("DEAR = 100", "DEAR = 1")
HARMLESS = ("return 2 * value", "return value + value")


@dataclass(frozen=True)
class InstallForm:
    """A layout of a project, and how its code comes onto the import path."""

    workflows: str
    """The file with the workflow."""
    rates: str
    """The file that it imports; the edits are made there."""
    rates_name: str
    module: str
    packages: tuple[str, ...] = ()
    """Folders that have an __init__.py."""
    projects: tuple[str, ...] = (".",)
    on_path: tuple[str, ...] = ()
    """Folders that an editable install puts onto the import path."""
    copied: tuple[tuple[str, str], ...] = ()
    """Folders that `pip install` copies, and what they are called there."""

    @property
    def folder(self) -> str:
        return Path(self.workflows).parent.as_posix() + "/"


_SRC = ("src/shop/workflows.py", "src/shop/rates.py", "shop.rates", "shop.workflows", ("src/shop",))
INSTALL_FORMS = {
    "script": InstallForm("workflows.py", "rates.py", "rates", "workflows"),
    "src, not installed": InstallForm(*_SRC),
    "editable": InstallForm(*_SRC, on_path=("src",)),
    "installed copy": InstallForm(*_SRC, copied=(("src/shop", "shop"),)),
    "namespace package": InstallForm(
        "src/acme/shop/workflows.py", "src/acme/rates/rates.py", "acme.rates.rates", "acme.shop.workflows",
        ("src/acme/shop", "src/acme/rates"), copied=(("src/acme", "acme"),),
    ),
    "monorepo": InstallForm(
        "services/shop/src/shop/workflows.py", "libs/rates/rates/__init__.py", "rates", "shop.workflows",
        ("services/shop/src/shop",), ("services/shop", "libs/rates"),
        copied=(("services/shop/src/shop", "shop"), ("libs/rates/rates", "rates")),
    ),
}  # fmt: skip
CODE_FORMS = ("file", "folder", "module", "configuration")
GATES: Mapping[str, tuple[str, ...]] = {
    "plain": (), "--base": ("--base", "main"), "--impacted": ("--base", "main", "--impacted"),
}  # fmt: skip


def make_project(folder: Path, form: InstallForm, code_form: str) -> tuple[Path, list[str]]:
    """A repository on a branch of main, and what `check` is told about the code."""
    folder.mkdir()
    (folder / "histories").mkdir()
    (folder / "histories" / "sleeper.json").write_bytes(history(3))
    for project in form.projects:
        name = Path(project).name or "shop"
        _write(folder / project / "pyproject.toml", f'[project]\nname = "{name}"\nversion = "1"\n')
    for package in form.packages:
        _write(folder / package / "__init__.py", "")
    _write(folder / form.workflows, WORKFLOWS.format(rates=form.rates_name))
    _write(folder / form.rates, RATES)
    named = {"file": form.workflows, "folder": form.folder, "module": form.module}
    if code_form == "configuration":
        with (folder / "pyproject.toml").open("a") as file:
            file.write(f"\n[tool.replaytool]\nworkflows = {json.dumps([form.module])}\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    git(folder, "switch", "-qc", "change")
    return folder, ["-w", named[code_form]] if code_form in named else []


def install_project(folder: Path, form: InstallForm, site: Path) -> list[str]:
    """What an installation leaves in `site`; the folders that come onto the import path."""
    site.mkdir()
    for source, name in form.copied:
        shutil.copytree(folder / source, site / name, dirs_exist_ok=True)
    if form.copied:  # a library that shares the namespace, and is nobody's copy
        _write(site / "acme" / "library" / "__init__.py", "")
    return [*(str(folder / one) for one in form.on_path), str(site)]


def commit_edit(folder: Path, form: InstallForm, edit: tuple[str, str]) -> None:
    """Commit the edit of what the workflow imports."""
    file = folder / form.rates
    text = file.read_text()
    assert edit[0] in text
    file.write_text(text.replace(*edit))
    git(folder, "commit", "-qam", "two")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
