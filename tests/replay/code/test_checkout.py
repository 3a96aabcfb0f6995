"""Which file an import gives, where a checkout and an installed copy both have it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.errors import ReplaytoolError
from replaytool.replay.code import checkout
from replaytool.replay.code.import_roots import find_projects, find_tree, is_code_of_tree, list_near_roots


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository; `site` beside it is on the import path."""
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)
    yield tmp_path / "repository"
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


def put(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"PLACE = {file!r}\n")


def prefer(tree: Path, instead_of: tuple[str, str] | None = None) -> None:
    checkout.prefer_checkout([tree], ["temporalio"], instead_of)


def test_the_checkout_comes_before_an_installed_copy(tree: Path) -> None:
    put(tree, "src/till/__init__.py", "src/till/slips.py")
    put(tree.parent / "site", "till/__init__.py", "till/slips.py", "till/gone.py", "other.py")
    prefer(tree)
    assert importlib.import_module("till.slips").__file__ == str(tree / "src/till/slips.py")
    assert checkout.path_in_checkout(str(tree / "src/till/slips.py")) == "src/till/slips.py"
    assert checkout.find_installed_copy() == str(tree.parent / "site/till/__init__.py")
    assert importlib.import_module("other").__file__ == str(tree.parent / "site/other.py")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("till.gone")
    checkout.require_checkout_files(frozenset())


def test_a_namespace_is_shared_with_libraries(tree: Path) -> None:
    put(tree, "src/spread/till/__init__.py")
    put(tree.parent / "site", "spread/till/__init__.py", "spread/library/__init__.py")
    prefer(tree)
    assert importlib.import_module("spread.till").__file__ == str(tree / "src/spread/till/__init__.py")
    assert importlib.import_module("spread.library").__file__ == str(tree.parent / "site/spread/library/__init__.py")


def test_a_folder_is_not_taken_for_a_library_of_its_name(tree: Path) -> None:
    put(tree, "vendorlib/slips.py")
    put(tree.parent / "site", "vendorlib/__init__.py", "vendorlib/slips.py")
    prefer(tree)
    assert importlib.import_module("vendorlib.slips").__file__ == str(tree.parent / "site/vendorlib/slips.py")


def test_what_the_change_adds_is_not_there_at_its_base(tree: Path) -> None:
    base = tree.parent / "base"
    put(tree, "src/newtill/__init__.py", "src/spread2/new.py")
    put(base, "src/oldtill.py", "src/spread2/old.py")
    put(tree.parent / "site", "newtill/__init__.py", "spread2/new.py", "oldtill.py")
    checkout.prefer_checkout([base], (), (str(tree), str(base)))
    assert importlib.import_module("oldtill").__file__ == str(base / "src/oldtill.py")
    assert importlib.import_module("spread2.old").__file__ == str(base / "src/spread2/old.py")
    for name in ("newtill", "spread2.new"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)


def test_a_module_that_was_imported_too_early_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tree, "src/early.py")
    put(tree.parent / "site", "early.py")
    importlib.import_module("early")
    monkeypatch.setattr(checkout, "_EARLY", frozenset({"early"}))
    prefer(tree)
    with pytest.raises(ReplaytoolError, match=r"module early would come from .*site/early\.py.* at src/early\.py"):
        checkout.require_checkout_files(frozenset(sys.modules))


def test_roots_are_those_that_tools_are_told(tree: Path) -> None:
    put(tree, "python/a.py", "tools/b.py", "lib/c.py", "part/deep/d.py")
    (tree / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\npythonpath = ["tools"]\n[tool.setuptools.package-dir]\n"" = "python"\n'
    )
    (tree / "setup.cfg").write_text("[options]\npackage_dir =\n    = lib\n")
    found = list_near_roots([tree / "part" / "deep"], tree)
    assert found == [tree / one for one in ("part/deep", "tools", "python", "lib", "")]


def test_an_environment_in_the_tree_is_no_code_of_it(tree: Path) -> None:
    put(tree, "env/lib/site-packages/a.py", "a.py", "env/pyvenv.cfg", "env/pyproject.toml", "one/setup.py")
    assert is_code_of_tree(tree / "a.py", tree)
    assert not is_code_of_tree(tree / "env/lib/site-packages/a.py", tree)
    assert not is_code_of_tree(tree.parent / "site", tree)
    assert list(find_projects(tree)) == [tree / "one"]
    assert find_tree(tree / "one") == tree
