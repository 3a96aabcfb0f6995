"""Only the project's own modules are set back, and what they hold is as it was."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from replaytool.replay.isolation.state_keeper import ModuleStateKeeper, is_module_of_project

_SOURCE = """
import collections, enum, itertools

number, names, by_name = 0, ["a"], {"a": [1]}
ids, recent = itertools.count(5), collections.deque([1], maxlen=2)

class Color(enum.Enum):
    RED = 1

class Shop:
    opened = 0

shop = Shop()
"""


@pytest.mark.parametrize(
    ("file", "roots", "is_own"),
    [
        ("/shop/flow.py", ("/shop",), True),
        ("/shop/.venv/lib/python3.11/site-packages/pydantic/main.py", ("/shop",), False),
        ("/env/lib/site-packages/shop/flow.py", ("/env/lib/site-packages/shop",), True),
        ("/env/lib/site-packages/other.py", ("/env/lib/site-packages",), False),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", ("/shop",), False),
        ("/library/edited.py", ("/shop",), True),
    ],
)
def test_installed_libraries_are_left_alone(file: str, roots: tuple[str, ...], is_own: bool) -> None:
    assert is_module_of_project(file, roots) is is_own


def test_everything_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "kept_shop.py").write_text(_SOURCE)
    (tmp_path / "late_shop.py").write_text("")
    held: Any = importlib.import_module("kept_shop")
    keeper = ModuleStateKeeper(lambda file: file.startswith(str(tmp_path)))
    assert not keeper.needs_process
    for _ in range(2):
        held.number += 1
        held.names.append("b")
        held.by_name["a"].append(2)
        held.by_name["b"] = []
        assert next(held.ids) == 5
        held.recent.extend([7, 8])
        held.Shop.opened += 1
        held.shop.late = True
        held.Color.extra = 3
        held.added = "later"
        importlib.import_module("late_shop")
        keeper.restore_state()
        assert (held.number, held.names, held.by_name, list(held.recent)) == (0, ["a"], {"a": [1]}, [1])
        assert (held.Shop.opened, vars(held.shop), hasattr(held, "added")) == (0, {}, False)
        assert not hasattr(held.Color, "extra")
        assert "late_shop" not in sys.modules
