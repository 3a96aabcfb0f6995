from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from replaytool.replay.code.importing import redirect_imports


def test_a_tree_is_looked_up_in_its_other_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", ["", f"{here}/src", f"{here}/.venv/lib/site-packages", "/usr/lib/python3"])
    finder = ModuleType("__editable___shop_1_0_finder")
    finder.MAPPING = {"shop": f"{here}/src/shop", "elsewhere": "/opt/elsewhere", "replaytool": f"{here}/replaytool"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, finder.__name__, finder)
    redirect_imports(here, there)
    assert sys.path == [str(there), f"{there}/src", f"{here}/.venv/lib/site-packages", "/usr/lib/python3"]
    assert {
        "shop": f"{there}/src/shop", "elsewhere": "/opt/elsewhere", "replaytool": f"{here}/replaytool",
    } == finder.MAPPING  # fmt: skip
