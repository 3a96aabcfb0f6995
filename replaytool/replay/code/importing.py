"""Importing the user's modules: by name, from packages, files and folders, each under a name that can be found again.

The SDK's sandbox imports a workflow's module anew for every run, by its name. So a file that is no part of a package is
imported under its own name with its folder on the path, as Python does it for a script; and where that name is taken,
under a name of its own that a finder resolves.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from replaytool.errors import ReplaytoolError
from replaytool.text import visible

_SKIPPED = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
_TELLS = b"temporalio"


class _Files(importlib.abc.MetaPathFinder):
    """Finds files by the names that were made up for them."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        file = self.paths.get(fullname)
        return importlib.util.spec_from_file_location(fullname, file) if file else None


_files = _Files()


def modules_of(item: str, folder: Path) -> tuple[list[ModuleType], Path]:
    """All modules that one `--workflows` names, and the folder that their code lives in."""
    path = (folder / item).resolve()
    if path.suffix == ".py" and path.is_file():
        return [_from_file(path)], _top(path).parent
    if path.is_dir() and (os.sep in item or not _importable(item, folder)):
        return _from_folder(path), _top(path / "__init__.py").parent if _is_package(path) else path
    if item.endswith(".py") or os.sep in item:
        raise ReplaytoolError(f"there is no file {visible(item)}", "name a module, a package, a file or a folder")
    return _from_name(item, folder)


def _importable(name: str, folder: Path) -> bool:
    on_path(folder)
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def on_path(folder: Path) -> None:
    """Make a folder's modules importable, before all others as for a script in it."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()


def look_elsewhere(here: Path, there: Path) -> None:
    """Import from another checkout of a tree what would come from the tree itself, installed as editable or not.

    What is installed into an environment that lies inside the tree is the same for both.
    """

    def moved(entry: str) -> str:
        path = Path(entry or ".").absolute()
        is_code = (
            path.is_relative_to(here) and not path.is_relative_to(sys.prefix) and "site-packages" not in path.parts
        )
        return str(there / path.relative_to(here)) if is_code else entry

    sys.path[:] = [moved(entry) for entry in sys.path]
    for name, module in list(sys.modules.items()):
        if name.startswith("__editable__"):
            mapping = getattr(module, "MAPPING", {})
            # The tool itself may be what is checked out, and it is running.
            mapping.update({key: moved(path) for key, path in mapping.items() if key.split(".")[0] not in sys.modules})
    importlib.invalidate_caches()


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _top(file: Path) -> Path:
    """The topmost package that a file belongs to, or the file itself."""
    found = file
    for parent in file.parents:
        if not _is_package(parent):
            break
        found = parent
    return found


def _from_file(file: Path) -> ModuleType:
    root = _top(file).parent
    parts = file.relative_to(root).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
    on_path(root)
    if not _leads_to(name, file):
        name = f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
        _pin(name, file)
    elif "." not in name and file.name != "__init__.py":
        _pin(name, file)  # a folder that comes onto the path later may have a file of this name too
    return imported(name)


def _pin(name: str, file: Path) -> None:
    """From now on this name leads to this file, also for a sandbox that imports it anew."""
    if _files not in sys.meta_path:
        sys.meta_path.insert(0, _files)
    _files.paths[name] = str(file)


def _leads_to(name: str, file: Path) -> bool:
    """Whether importing this name gives this file, and not one that came first."""
    loaded = sys.modules.get(name)
    origin = getattr(loaded, "__file__", None) if loaded else _origin(name)
    return origin is not None and Path(origin).resolve() == file


def _origin(name: str) -> str | None:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return found.origin if found else None


def _from_folder(folder: Path) -> list[ModuleType]:
    """Every file below it that speaks of the SDK: importing the others could do anything, and would tell nothing."""
    return [_from_file(file) for file in _python_files(folder) if _TELLS in file.read_bytes()]


def _python_files(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "test_")) or entry.name in _SKIPPED or entry.name == "conftest.py":
            continue
        if entry.is_dir() and not (entry / "pyvenv.cfg").exists():
            yield from _python_files(entry)
        elif entry.suffix == ".py" and entry.is_file():
            yield entry


def _from_name(name: str, folder: Path) -> tuple[list[ModuleType], Path]:
    on_path(folder)
    module = imported(name)
    found = [module]
    for place in list(getattr(module, "__path__", [])):
        for info in pkgutil.walk_packages([place], module.__name__ + ".", onerror=lambda _: None):
            if info.name.rpartition(".")[2] != "__main__" and _speaks_of_sdk(info.name):
                found.append(imported(info.name))
    origin = getattr(sys.modules[name.partition(".")[0]], "__file__", None)
    home = Path(origin).resolve().parent if origin else folder
    installed = "site-packages" in home.parts
    return found, home if installed or not origin or not origin.endswith("__init__.py") else home.parent


def _speaks_of_sdk(name: str) -> bool:
    origin = _origin(name)
    return bool(origin) and Path(str(origin)).suffix == ".py" and _TELLS in Path(str(origin)).read_bytes()


def imported(name: str) -> ModuleType:
    """The module; what goes wrong inside it is the user's, and is told with the user's lines."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ReplaytoolError(
                f"there is no module {visible(name)}",
                "give its dotted name as Python would import it from here, or the path of the file",
            ) from error
        raise in_user_code(f"cannot import {name}", error) from error
    except (Exception, SystemExit) as error:
        raise in_user_code(f"cannot import {name}", error) from error


def in_user_code(what: str, error: BaseException) -> ReplaytoolError:
    """An error in the user's code, with the part of the traceback that is the user's."""
    summary = traceback.TracebackException.from_exception(error)
    own = [frame for frame in summary.stack if not _is_machinery(frame.filename)]
    summary.stack = traceback.StackSummary.from_list(own)
    summary.__context__ = summary.__cause__ = None
    text = visible("".join(summary.format()).rstrip(), keep="\n")
    return ReplaytoolError(f"{what}:\n{text}", "the code must be importable where `replaytool` runs")


def _is_machinery(filename: str) -> bool:
    own = str(Path(__file__).resolve().parents[2])
    return filename.startswith(("<frozen", own)) or filename == importlib.__file__
