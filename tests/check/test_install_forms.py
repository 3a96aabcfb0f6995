"""A gate judges the code of the checkout, however the code is laid out, installed and named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Call
from tests.support.install_forms import (
    BREAKING,
    CODE_FORMS,
    GATES,
    HARMLESS,
    INSTALL_FORMS,
    commit_edit,
    install_project,
    make_project,
)

CELLS = [(install, code, gate) for install in INSTALL_FORMS for code in CODE_FORMS for gate in GATES]
FEW = [
    ("script", "file", "--base"), ("src, not installed", "module", "plain"), ("editable", "folder", "--impacted"),
    ("installed copy", "module", "--base"), ("installed copy", "configuration", "--impacted"),
    ("namespace package", "file", "--base"), ("monorepo", "module", "--impacted"),
]  # fmt: skip
REST = [pytest.param(*cell, marks=pytest.mark.drill) for cell in CELLS if cell not in FEW]


@pytest.mark.parametrize(("install", "code", "gate"), [*FEW, *REST])
def test_a_breaking_edit_is_red_and_a_harmless_one_green(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: str, code: str, gate: str
) -> None:
    form = INSTALL_FORMS[install]
    path = list(sys.path)
    for name, edit in (("harmless", HARMLESS), ("breaking", BREAKING)):
        project, named = make_project(tmp_path / name, form, code)
        monkeypatch.chdir(project)
        monkeypatch.setattr(sys, "path", [*path, *install_project(project, form, tmp_path / f"site-of-{name}")])
        commit_edit(project, form, edit)
        told = call("check", "histories", "-j", "1", *named, *GATES[gate], "--format", "json")
        assert told.out, told.err
        report = told.json
        (run,) = report["runs"]
        expected = (0, "ok", 0) if edit is HARMLESS else (1, "diverged", 1)
        assert (told.code, run["verdict"], report["blast_radius"]["broken"]) == expected, (name, report)
        if gate != "plain":
            assert (run["base"], run["known"], report["base"]["trouble"]) == ("ok", False, "")
            assert set(report["base"]["files"]) == set(report["code"]["files"])
        assert is_left_out(run) == (gate == "--impacted" and edit is HARMLESS)
        assert {form.workflows, form.rates} <= set(report["code"]["files"]), report["code"]["files"]
        assert not [file for file in report["code"]["files"] if Path(file).is_absolute()]


def is_left_out(run: Any) -> bool:
    return any(note.startswith("not replayed:") for note in run["notes"])
