"""Import the modules of the judged checkout from the checkout, and never from an installed copy of them.

A plain `pip install .` copies the code. Python would then import the copy, for the change and for its base alike, and
no edit would ever show. So a finder comes before all others: if they find a module outside the checkout, and a root of
the checkout has it, the checkout's file is imported. What cannot be imported from there is an error.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.replay.code.import_roots import (
    find_projects,
    find_tree,
    is_code_of_tree,
    list_near_roots,
    list_other_roots,
)
from replaytool.replay.code.installed_copies import is_copy_of_tree
from replaytool.text import escape_controls

_EARLY = frozenset(sys.modules)
"""Modules that were loaded before replaytool looked at any code, for example by a .pth file."""
Spec = importlib.machinery.ModuleSpec


@dataclass(frozen=True)
class Checkout:
    """A tree of files, and the folders from which its modules are imported."""

    tree: Path
    near: Sequence[Path]
    """The roots around the named code. Those of other projects are asked only in place of an installed copy."""

    @cached_property
    def projects(self) -> Sequence[Path]:
        """The folders that can be installed."""
        return list(find_projects(self.tree))

    @cached_property
    def others(self) -> Sequence[Path]:
        """The roots of all other projects."""
        return list_other_roots(self.projects, self.near)

    @property
    def roots(self) -> Sequence[Path]:
        """All roots."""
        return [*self.near, *self.others]

    def find_file(self, name: str, roots: Iterable[Path]) -> list[Path]:
        """Return the files of a module below these roots."""
        return [file for root in roots for file in _module_files(root, name) if is_code_of_tree(file, self.tree)]

    def find_folders(self, name: str, roots: Iterable[Path]) -> list[Path]:
        """Return the folders of a namespace package below these roots."""
        folders = (root.joinpath(*name.split(".")) for root in roots)
        return [folder for folder in folders if folder.is_dir() and is_code_of_tree(folder, self.tree)]


def _module_files(root: Path, name: str) -> list[Path]:
    stem = root.joinpath(*name.split("."))
    return [file for file in (stem / "__init__.py", stem.with_name(stem.name + ".py")) if file.is_file()][:1]


@dataclass
class _CheckoutFinder(importlib.abc.MetaPathFinder):
    """Finds modules in the checkouts; stays out of the way of everything else."""

    checkouts: Sequence[Checkout] = ()
    before: Sequence[Checkout] = ()
    """The trees that the checkouts stand for, if they are of a base: what only these have does not exist."""
    foreign: frozenset[str] = frozenset()
    """Top-level names that are never the user's: the engines' libraries."""
    replaced: dict[str, str] = field(default_factory=dict)
    """Modules that an installed copy has too, and the copy's file."""
    doubtful: dict[str, list[Path]] = field(default_factory=dict)
    """Modules that several projects of the checkout have."""
    _tops: dict[str, bool] = field(default_factory=dict)
    _copies: dict[str, bool] = field(default_factory=dict)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Spec | None:
        top = fullname.partition(".")[0]
        if not self._is_of_interest(top):
            return None
        other = _ask_other_finders(fullname, path, target)
        if other is not None and self._is_inside(other):
            return None
        if (files := self.list_files(fullname, is_elsewhere=other is not None)) and len(files) == 1:
            if other is not None:
                self.replaced[fullname] = _describe_place(other)
            return _spec_of_file(fullname, files[0])
        if files:
            self.doubtful[fullname] = files
            return None
        return self._find_namespace(fullname, other)

    def _find_namespace(self, fullname: str, other: Spec | None) -> Spec | None:
        if other is not None and other.origin is not None:
            self._refuse_gone_module(fullname)
            return None
        folders = [folder for one in self.checkouts for folder in one.find_folders(fullname, _all_roots(one, other))]
        if not folders:
            self._refuse_gone_module(fullname)
            return None
        more = [] if other is None else [one for one in other.submodule_search_locations or () if self._is_library(one)]
        spec = Spec(fullname, None, is_package=True)
        spec.submodule_search_locations = list(dict.fromkeys([*map(str, folders), *more]))
        return spec

    def _refuse_gone_module(self, name: str) -> None:
        """Raise for a module that the change adds: at its base, an installed copy of it must not take its place."""
        is_new = any(one.find_file(name, one.roots) for one in self.before) and not any(
            one.find_file(name, one.roots) for one in self.checkouts
        )
        if is_new and self._is_copy(name.partition(".")[0]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def _holds_top(self, top: str) -> bool:
        """Return whether a top-level name is one of the checkout's: as a file, or as a namespace that others share."""
        if top not in self._tops:
            self._tops[top] = False  # for the finders that are asked now
            self._tops[top] = self._has_top(top)
        return self._tops[top]

    def _has_top(self, top: str) -> bool:
        trees = [*self.checkouts, *self.before]
        if any(one.find_file(top, one.roots) for one in trees):
            return True
        if not any(one.find_folders(top, one.roots) for one in trees):
            return False
        loaded = sys.modules.get(top)
        origin = getattr(loaded, "__file__", None) if loaded else getattr(_ask_other_finders(top, None), "origin", None)
        return origin is None or not self._is_foreign(origin)

    def list_files(self, name: str, *, is_elsewhere: bool) -> list[Path]:
        """Return the checkout's file for a module; several if it cannot be said which one is meant."""
        for one in self.checkouts:
            if found := one.find_file(name, one.near)[:1]:
                return found
        # Only an installed copy shows that code outside the named projects is importable.
        if not is_elsewhere or not self._is_copy(name.partition(".")[0]):
            return []
        return list(dict.fromkeys(file for one in self.checkouts for file in one.find_file(name, one.others)))

    def _is_copy(self, top: str) -> bool:
        if top not in self._copies:
            self._copies[top] = any(
                is_copy_of_tree(top, one.tree, one.projects) for one in (*self.checkouts, *self.before)
            )
        return self._copies[top]

    def list_overlooked_files(self, name: str, loaded: str) -> list[Path]:
        """Return the checkout's files for a module that was loaded from a file elsewhere; nothing if all is well."""
        top = name.partition(".")[0]
        is_wrong = self._is_of_interest(top) and self._is_foreign(loaded)
        return self.list_files(name, is_elsewhere=True) if is_wrong else []

    def _is_of_interest(self, top: str) -> bool:
        is_library = top in self.foreign or top in sys.stdlib_module_names
        return bool(self.checkouts) and not is_library and self._holds_top(top)

    def _is_inside(self, spec: Spec) -> bool:
        places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
        return bool(places) and not any(map(self._is_foreign, places))

    def _is_foreign(self, path: str) -> bool:
        return not any(is_code_of_tree(path, one.tree) for one in self.checkouts)

    def _is_library(self, path: str) -> bool:
        return not any(is_code_of_tree(path, one.tree) for one in (*self.checkouts, *self.before))


def _all_roots(checkout: Checkout, other: Spec | None) -> Sequence[Path]:
    return checkout.near if other is None else checkout.roots


def _spec_of_file(name: str, file: Path) -> Spec | None:
    inside = [str(file.parent)] if file.name == "__init__.py" else None
    return importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)


def _describe_place(spec: Spec) -> str:
    return spec.origin or next(iter(spec.submodule_search_locations or ()), "elsewhere")


def _ask_other_finders(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Spec | None:
    for finder in sys.meta_path:
        ask: Any = getattr(finder, "find_spec", None)
        # Two of ours would ask each other for ever.
        if (
            not isinstance(finder, _CheckoutFinder)
            and ask is not None
            and (spec := ask(name, path, target)) is not None
        ):
            return spec  # type: ignore[no-any-return]
    return None


_finder = _CheckoutFinder()


def prefer_checkout(places: Iterable[Path], foreign: Iterable[str], instead_of: tuple[str, str] | None) -> None:
    """Import from now on what the checkouts of these folders hold from there; at a base, nothing that came later."""
    global _finder
    grouped: dict[Path, list[Path]] = {}
    there = Path(instead_of[1]) if instead_of else None
    for place in places:
        grouped.setdefault(there if there and place.is_relative_to(there) else find_tree(place), []).append(place)
    checkouts = [Checkout(tree, list_near_roots(found, tree)) for tree, found in grouped.items()]
    before = []
    if instead_of is not None:
        here = Path(instead_of[0])
        before = [
            Checkout(here, list_near_roots([here / one.relative_to(tree) for one in found], here))
            for tree, found in grouped.items()
            if tree == there
        ]
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _CheckoutFinder)]
    _finder = _CheckoutFinder(checkouts, before, frozenset({"replaytool", *foreign}))
    sys.meta_path.insert(0, _finder)


def path_in_checkout(file: str) -> str:
    """Return a file's path relative to its checkout; for a file that belongs to none, its absolute path."""
    found = os.path.realpath(file)
    trees = (one.tree for one in _finder.checkouts if is_code_of_tree(found, one.tree))
    tree = next(trees, None)
    return file if tree is None else Path(found).relative_to(tree).as_posix()


def find_installed_copy() -> str | None:
    """Return the file of an installed copy that the checkout was imported instead of, if there is one."""
    return next(iter(_finder.replaced.values()), None)


def require_checkout_files(loaded_before: frozenset[str]) -> None:
    """Raise ReplaytoolError for a loaded module of the checkout that came from elsewhere."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and (name in _EARLY or name not in loaded_before):
            found = _finder.doubtful.get(name) or _finder.list_overlooked_files(name, file)
            if found:
                raise _foreign_module_error(name, file, found)


def _foreign_module_error(name: str, file: str, found: Sequence[Path]) -> ReplaytoolError:
    places = " and ".join(path_in_checkout(str(one)) for one in found)
    hint = (
        "put the folder that is meant on PYTHONPATH, or install it with `pip install -e`"
        if len(found) > 1
        else f"uninstall the copy, or install the checkout with `pip install -e`; then {name} comes from {places}"
    )
    return ReplaytoolError(
        f"module {escape_controls(name)} would come from {escape_controls(file)}, "
        f"but this checkout has it at {escape_controls(places)}",
        escape_controls(hint),
        code=ErrorCode.CODE_ELSEWHERE,
    )
