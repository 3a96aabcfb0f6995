"""Real installations by pip: the gate judges the checkout, whatever pip has left in the environment."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.support.install_forms import BREAKING, HARMLESS, INSTALL_FORMS, InstallForm, commit_edit, make_project
from tests.support.paths import ROOT

pytestmark = pytest.mark.drill
BUILD = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[tool.setuptools.packages.find]
where = ["{where}"]
namespaces = true
"""
KINDS = {
    "installed copy": ("installed copy", ["."], []),
    "editable": ("editable", ["."], ["-e"]),
    "editable, strict": ("editable", ["."], ["--config-settings", "editable_mode=strict", "-e"]),
    "namespace package": ("namespace package", ["."], []),
    "monorepo": ("monorepo", ["services/shop", "libs/rates"], []),
    "monorepo, editable": ("monorepo", ["services/shop", "libs/rates"], ["-e"]),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment that has pip, and sees what this one has."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
    python = str(folder / "bin" / "python")
    # A new environment of Python 3.11 has a setuptools that cannot build a wheel alone. Ours can.
    run(python, folder, "-m", "pip", "uninstall", "-q", "-y", "setuptools")
    where = run(python, folder, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    ours = sysconfig.get_path("purelib")
    Path(where, "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n{ROOT}\n")
    return python


def run(python: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_the_checkout_is_judged_however_pip_installed_it(environment: str, tmp_path: Path, kind: str) -> None:
    name, projects, how = KINDS[kind]
    form = INSTALL_FORMS[name]
    for edit, code in ((HARMLESS, 0), (BREAKING, 1)):
        project = make_installed_project(environment, tmp_path / str(code), form, projects, how)
        commit_edit(project, form, edit)
        for gate in ((), ("--base", "main"), ("--base", "main", "--impacted")):
            done = run(environment, project, *CHECK, form.module, *gate)
            assert done.returncode == code, (kind, edit, gate, done.stdout, done.stderr)
            assert {form.workflows, form.rates} <= set(json.loads(done.stdout)["code"]["files"])


CHECK = ("-m", "replaytool", "check", "histories", "-j", "1", "--format", "json", "-w")


def make_installed_project(python: str, folder: Path, form: InstallForm, projects: list[str], how: list[str]) -> Path:
    project, _ = make_project(folder, form, "module")
    for one in projects:
        where = "src" if (project / one / "src").is_dir() else "."
        with (project / one / "pyproject.toml").open("a") as file:
            file.write(BUILD.format(where=where))
        done = run(python, project, "-m", "pip", "install", *PIP, *how, f"./{one}")
        assert done.returncode == 0, done.stderr
    return project


PIP = ("-q", "--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall")


def test_a_module_that_two_projects_have_is_an_error(environment: str, tmp_path: Path) -> None:
    form = INSTALL_FORMS["monorepo"]
    project = make_installed_project(environment, tmp_path / "project", form, ["services/shop", "libs/rates"], [])
    other = project / "libs" / "prices"
    other.mkdir()
    (other / "pyproject.toml").write_text('[project]\nname = "prices"\nversion = "1"\n')
    (other / "rates.py").write_text((project / form.rates).read_text())
    done = run(environment, project, *CHECK, form.module)
    assert done.returncode == 2, done.stdout
    assert told(done.stderr, "module rates would come from", "libs/rates/rates/__init__.py", "libs/prices/rates.py")


def told(text: str, *parts: str) -> Any:
    return all(part in text for part in parts) or pytest.fail(text)
