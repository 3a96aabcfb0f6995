"""Find the folders of a checkout that its modules are imported from: `src`, configured roots, the project itself."""

from __future__ import annotations

import configparser
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

_PROJECT_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_INSTALLED = {"site-packages", "dist-packages"}
_NO_PROJECTS = {"build", "dist", "node_modules", "__pycache__"} | _INSTALLED
_DEEPEST, _MOST_FOLDERS = 4, 4000
"""Where projects of a monorepo are looked for. The limits are for a home folder that is a git repository."""


def find_tree(place: Path) -> Path:
    """Return the checkout that holds a folder: the git repository, else the project, else the folder itself."""
    parents = (place, *place.parents)
    repository = next((one for one in parents if (one / ".git").exists()), None)
    return repository or next((one for one in parents if _is_project(one)), place)


@lru_cache(maxsize=8192)
def is_code_of_tree(path: str | Path, tree: Path) -> bool:
    """Return whether a file or folder belongs to the checkout, and not to an environment inside it."""
    found = Path(os.path.realpath(path))
    if not found.is_relative_to(tree) or _INSTALLED.intersection(found.relative_to(tree).parts):
        return False
    prefix = Path(os.path.realpath(sys.prefix))
    return not (prefix != tree and prefix.is_relative_to(tree) and found.is_relative_to(prefix))


def list_near_roots(folders: Iterable[Path], tree: Path) -> list[Path]:
    """Return the roots of the projects around these folders, the innermost first, and of the checkout itself."""
    found: list[Path] = []
    for folder in folders:
        for place in (folder, *folder.parents):
            if not place.is_relative_to(tree):
                break
            if place in (folder, tree) or _is_project(place):
                found += _project_roots(place)
    return list(dict.fromkeys(found))


def list_other_roots(projects: Iterable[Path], near: Sequence[Path]) -> list[Path]:
    """Return the roots of all other projects of the checkout, as a monorepo has them."""
    return [root for project in projects for root in _project_roots(project) if root not in near]


def find_projects(tree: Path) -> Iterator[Path]:
    """Yield the folders of the checkout that can be installed."""
    depth = len(tree.parts)
    for count, (place, folders, files) in enumerate(os.walk(tree)):
        if count >= _MOST_FOLDERS:
            return
        if not {"pyvenv.cfg", *_PROJECT_FILES}.isdisjoint(files) and "pyvenv.cfg" not in files:
            yield Path(place)
        is_deep = len(Path(place).parts) - depth >= _DEEPEST or "pyvenv.cfg" in files
        folders[:] = [] if is_deep else sorted(one for one in folders if one[0] != "." and one not in _NO_PROJECTS)


def _is_project(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _PROJECT_FILES)


@lru_cache(maxsize=1024)
def _project_roots(project: Path) -> tuple[Path, ...]:
    named = [project / root for root in _configured_roots(project)]
    places = (Path(os.path.normpath(one)) for one in (*named, project / "src", project))
    return tuple(dict.fromkeys(one for one in places if one.is_dir()))


def _configured_roots(project: Path) -> list[str]:
    """Return the folders that pytest and the build tools are told to look in."""
    try:
        table = tomllib.loads(read_unseen(project / "pyproject.toml").decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        table = {}  # `check` itself reports a pyproject.toml that it cannot read
    found = [root for path in _ROOT_KEYS for root in _listed_texts(_look_up(table, path))]
    folders = _look_up(table, "tool.setuptools.package-dir")
    found += _roots_of_package_folders(folders.items() if isinstance(folders, Mapping) else ())
    found += [text for path in _HATCH_KEYS for text in _listed_keys(_look_up(table, f"{path}.sources"))]
    found += [str(Path(text).parent) for text in _listed_texts(_look_up(table, f"{_HATCH_KEYS[0]}.packages"))]
    packages = _look_up(table, "tool.poetry.packages")
    found += [str(one["from"]) for one in packages or () if isinstance(one, Mapping) and "from" in one]
    return found + _roots_of_setup_files(project)


_HATCH_KEYS = ("tool.hatch.build.targets.wheel", "tool.hatch.build")
_ROOT_KEYS = (
    "tool.pytest.ini_options.pythonpath", "tool.setuptools.packages.find.where", "tool.pdm.build.package-dir",
    "tool.uv.build-backend.module-root", *(f"{path}.sources" for path in _HATCH_KEYS),
)  # fmt: skip
_SETUP_KEYS = (
    ("setup.cfg", "options.packages.find", "where"), ("setup.cfg", "tool:pytest", "pythonpath"),
    ("pytest.ini", "pytest", "pythonpath"), ("tox.ini", "pytest", "pythonpath"),
)  # fmt: skip


def _roots_of_setup_files(project: Path) -> list[str]:
    found = []
    for name in dict.fromkeys(name for name, _, _ in _SETUP_KEYS):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(read_unseen(project / name).decode())
        except (UnicodeDecodeError, configparser.Error):
            continue
        for file, section, key in _SETUP_KEYS:
            if file == name:
                found += parser.get(section, key, fallback="").replace(",", " ").split()
        lines = parser.get("options", "package_dir", fallback="").split("\n") if name == "setup.cfg" else []
        pairs = (line.partition("=") for line in lines if "=" in line)
        found += _roots_of_package_folders((key.strip(), folder.strip()) for key, _, folder in pairs)
    return found


def _roots_of_package_folders(folders: Iterable[tuple[Any, Any]]) -> list[str]:
    """Return the roots of a `package_dir`: folders by package, where "" stands for all packages."""
    found = []
    for package, folder in folders:
        names = tuple(str(package).split(".")) if package else ()
        parts = Path(str(folder)).parts
        if parts[len(parts) - len(names) :] == names:
            found.append(str(Path(*parts[: len(parts) - len(names)])))
    return found


def _look_up(table: Any, path: str) -> Any:
    for key in path.split("."):
        table = table.get(key) if isinstance(table, Mapping) else None
    return table


def _listed_texts(value: Any) -> list[str]:
    values = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _listed_keys(value: Any) -> list[str]:
    return [one for one in value if one] if isinstance(value, Mapping) else []


def read_unseen(file: Path) -> bytes:
    """Read a file by a name in bytes: `line_coverage` takes those with a name in text for files that the code reads."""
    try:
        with open(os.fsencode(file), "rb") as opened:
            return opened.read()
    except OSError:
        return b""
