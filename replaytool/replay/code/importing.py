"""Import the user's modules: by name, from packages, files and folders.

The SDK's sandbox imports a workflow's module again for every run, by name, so each file needs an importable name.
A file outside a package is imported under its own name with its folder on the path, as Python does for a script.
If that name is taken, the file gets a unique name that a finder resolves.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.replay.code.checkout import find_installed_copy
from replaytool.replay.code.code_spec import split_class_name
from replaytool.replay.code.failed_imports import is_import_failure
from replaytool.replay.code.import_roots import find_tree, is_code_of_tree
from replaytool.replay.code.script_imports import (
    PinnedFileFinder,
    find_neighbours,
    find_script_folder,
    make_unique_name,
)
from replaytool.replay.code.source_search import SourceSearch
from replaytool.replay.isolation.side_effects import SideEffectRefused, refuse_effects_of_import
from replaytool.text import escape_controls

_files = PinnedFileFinder()


def import_modules(item: str, folder: Path, search: SourceSearch) -> tuple[list[ModuleType], Path]:
    """Return all modules that one `--workflows` value names, and the folder of their code.

    Of a folder or a package, only files that define workflows are imported, and they must have no side effects. Those
    that cannot be imported are noted by the search.
    """
    path = (folder / item).resolve()
    if path.suffix == ".py" and path.is_file():
        return [_import_file(path)], _top_package(path).parent
    if path.is_dir() and (os.sep in item or not _is_importable(item, folder)):
        return _import_folder(path, search), find_import_root(item, folder) or path
    if item.endswith(".py") or os.sep in item:
        raise ReplaytoolError(
            f"there is no file {escape_controls(item)}",
            "name a module, a package, a file or a folder",
            code=ErrorCode.CODE_FILE_MISSING,
        )
    return _import_package(item, folder, search)


def find_import_root(item: str, folder: Path) -> Path | None:
    """Return the folder that a named file or folder is imported from, or None for a dotted name."""
    path = (folder / split_class_name(item)[0]).resolve()
    if path.is_dir():
        return _top_package(path / "__init__.py").parent if _is_package(path) else path
    return _top_package(path).parent if path.is_file() else None


def find_module_file(place: str, folder: Path) -> Path | None:
    """Return the file of a named file or module, without importing it."""
    path = (folder / place).resolve()
    if path.is_file():
        return path
    origin = None if path.is_dir() else _module_origin(place)
    return Path(origin).resolve() if origin and origin.endswith(".py") else None


def find_foreign_name(item: str, folder: Path) -> str | None:
    """Return the top-level name of a named file that is no checkout's: who names an installed file means this file."""
    path = (folder / split_class_name(item)[0]).resolve()
    is_installed = path.is_file() and not is_code_of_tree(path, find_tree(path.parent))
    return _top_package(path).stem if is_installed else None


def _is_importable(name: str, folder: Path) -> bool:
    add_to_path(folder)
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def add_to_path(folder: Path) -> None:
    """Put the folder first on the import path, as for a script in it."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()


def redirect_imports(here: Path, there: Path) -> None:
    """Import from another checkout what would come from the tree `here`, editable installs included.

    Packages of an environment inside the tree are the same for both and stay.
    """

    def moved_entry(entry: str) -> str:
        path = Path(entry or ".").absolute()
        is_code = path.is_relative_to(here) and is_code_of_tree(path, here)
        return str(there / path.relative_to(here)) if is_code else entry

    sys.path[:] = [moved_entry(entry) for entry in sys.path]
    for name, module in list(sys.modules.items()):
        if name.startswith("__editable__"):
            mapping = getattr(module, "MAPPING", {})
            # Keep loaded packages: replaytool may itself be in this tree, and it is running.
            mapping.update(
                {key: moved_entry(path) for key, path in mapping.items() if key.split(".")[0] not in sys.modules}
            )
    importlib.invalidate_caches()


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _top_package(file: Path) -> Path:
    """Return the topmost package that the file belongs to, or the file itself."""
    found = file
    for parent in file.parents:
        if not _is_package(parent):
            break
        found = parent
    return found


def _import_file(file: Path) -> ModuleType:
    top = _top_package(file)
    if top == file:
        return _import_script(file, file.parent)
    name = _module_name(file, top.parent)
    add_to_path(top.parent)
    if not _resolves_to(name, file):
        name = make_unique_name(file)
        _files.pin_file(name, file)
    try:
        return import_user_module(name)
    except ReplaytoolError as error:
        missing = getattr(error.__cause__, "name", None) if isinstance(error.__cause__, ModuleNotFoundError) else None
        folder = find_script_folder(file, top, missing) if missing else None
        if folder is None:
            raise
        return _import_script(file, folder)


def _import_script(file: Path, folder: Path) -> ModuleType:
    """Import a file as if Python ran it, or a file beside it, in this folder."""
    add_to_path(folder)
    name = _module_name(file, folder)
    neighbours = find_neighbours(file) if folder == file.parent else {}
    if any(not _resolves_to(one, place) for one, place in neighbours.items()):
        return import_user_module(_files.pin_renamed_files(neighbours)[file.stem])
    # A folder that comes onto the path later may have files of these names too.
    for one, place in neighbours.items():
        _files.pin_file(one, place)
    return import_user_module(name)


def _module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def list_renamed_files() -> tuple[str, ...]:
    """Return the loaded files whose imports of neighbours were rewritten."""
    return _files.list_renamed_files()


def _resolves_to(name: str, file: Path) -> bool:
    """Return whether importing this name gives this file, or this namespace, and not another one."""
    if file.is_dir():
        places = _namespace_places(name)
        return file in places and (len(places) == 1 or not any(str(one) in _files.paths.values() for one in places))
    loaded = sys.modules.get(name)
    origin = getattr(loaded, "__file__", None) if loaded else _module_origin(name)
    return origin is not None and Path(origin).resolve() == file


def _namespace_places(name: str) -> list[Path]:
    loaded = sys.modules.get(name)
    try:
        found = loaded.__spec__ if loaded else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return []
    return [Path(one).resolve() for one in (found and found.submodule_search_locations) or ()]


def _module_origin(name: str) -> str | None:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return found.origin if found else None


def _import_folder(folder: Path, search: SourceSearch) -> list[ModuleType]:
    """Import every file below the folder that defines workflows; importing others could have any effect."""
    return [module for file in list(search.list_files(folder)) if (module := import_found_file(file, search))]


def import_found_file(file: Path, search: SourceSearch, name: str = "") -> ModuleType | None:
    """Import a file that nobody named, without side effects; one that cannot be imported is noted."""
    try:
        with refuse_effects_of_import():
            return import_user_module(name) if name else _import_file(file)
    except ReplaytoolError as error:
        if not is_import_failure(error):
            raise
        search.note_failure(file, error)
        return None


def _import_package(name: str, folder: Path, search: SourceSearch) -> tuple[list[ModuleType], Path]:
    add_to_path(folder)
    module = import_user_module(name)
    found = [module]
    for place in list(getattr(module, "__path__", [])):
        for inner, file in _walk_package(place, module.__name__ + "."):
            if search.is_wanted(file) and search.is_workflow_file(file):
                imported = import_found_file(file, search, inner)
                found += [imported] if imported else []
    return found, _find_home(module, folder)


def _walk_package(place: str, prefix: str) -> Iterator[tuple[str, Path]]:
    """Yield the name and file of each module below a package's folder, without importing any."""
    for info in pkgutil.iter_modules([place], prefix):
        last = info.name.rpartition(".")[2]
        file = Path(place, last, "__init__.py") if info.ispkg else Path(place, f"{last}.py")
        if last != "__main__" and file.is_file():
            yield info.name, file
        if info.ispkg:
            yield from _walk_package(str(Path(place, last)), info.name + ".")


def _find_home(module: ModuleType, folder: Path) -> Path:
    """Return the folder that a module is imported from; of an installed package, the package's own folder."""
    origin = getattr(sys.modules[module.__name__.partition(".")[0]], "__file__", None)
    if origin:
        home = Path(origin).resolve().parent
        return home.parent if origin.endswith("__init__.py") and "site-packages" not in home.parts else home
    # A namespace package has no file: go up from the module itself.
    file = getattr(module, "__file__", None)
    place = Path(file or next(iter(module.__path__))).resolve()
    if "site-packages" in place.parts:
        return place.parent if file else place
    return place.parents[module.__name__.count(".") + (place.name == "__init__.py")]


def import_user_module(name: str) -> ModuleType:
    """Import a module; its errors are shown with the user's lines."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ReplaytoolError(
                f"there is no module {escape_controls(name)}",
                "give its dotted name as Python would import it from here, or the path of the file",
                code=ErrorCode.CODE_MODULE_MISSING,
            ) from error
        raise user_code_error(f"cannot import {name}", error) from error
    except SideEffectRefused as error:
        found = user_code_error(f"cannot import {name}", error)
        hint = "guard the call with `if __name__ == '__main__':`, or name the file itself to import it as it is"
        raise ReplaytoolError(found.message, hint, code=found.code) from error
    except (Exception, SystemExit) as error:
        raise user_code_error(f"cannot import {name}", error) from error


def user_code_error(what: str, error: BaseException) -> ReplaytoolError:
    """Make an error from an exception in the user's code, with the user's part of the traceback."""
    summary = traceback.TracebackException.from_exception(error)
    own = [frame for frame in summary.stack if not _is_import_machinery(frame.filename)]
    summary.stack = traceback.StackSummary.from_list(own)
    summary.__context__ = summary.__cause__ = None
    text = escape_controls("".join(summary.format()).rstrip(), keep="\n")
    hint = "the code must be importable where `replaytool` runs"
    if (copy := find_installed_copy()) is not None:
        hint = (
            f"this checkout is imported, not its installed copy {escape_controls(copy)}; "
            "for files that only an installation makes, run `pip install -e .`"
        )
    return ReplaytoolError(f"{what}:\n{text}", hint, code=ErrorCode.CODE_IMPORT_FAILED)


def _is_import_machinery(filename: str) -> bool:
    own = str(Path(__file__).resolve().parents[2])
    return filename.startswith(("<frozen", own)) or filename == importlib.__file__
