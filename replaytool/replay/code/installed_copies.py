"""Tell an installed copy of the checkout from a library that has the same module name."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

from replaytool.replay.code.import_roots import is_code_of_tree, read_unseen

_NAME_OF_SETUP = re.compile(r"""\bname\s*=\s*["']([\w.-]+)["']""")


def is_copy_of_tree(top: str, tree: Path, projects: Iterable[Path]) -> bool:
    """Return whether a top-level module may be installed from this tree: no installed package proves the opposite."""
    names = {_project_name(project) for project in projects}
    if None in names or any(_installs_module(name, top) for name in names if name):
        return True
    owners = metadata.packages_distributions().get(top, ())  # slow: it reads the list of files of every package
    return not owners or any(_is_from_tree(one, tree) for one in owners)


def _installs_module(distribution: str, top: str) -> bool:
    try:
        files = metadata.files(distribution) or ()
    except metadata.PackageNotFoundError:
        return False
    return any(file.parts[0] in (top, f"{top}.py") for file in files)


def _project_name(project: Path) -> str | None:
    """Return the name that a project installs under, or None if it cannot be read."""
    try:
        table = tomllib.loads(read_unseen(project / "pyproject.toml").decode())
        setup = configparser.ConfigParser(interpolation=None, strict=False)
        setup.read_string(read_unseen(project / "setup.cfg").decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, configparser.Error):
        return None
    tools = table.get("tool", {})
    named = table.get("project", {}).get("name") or tools.get("poetry", {}).get("name")
    named = named or setup.get("metadata", "name", fallback=None)
    if not named and (found := _NAME_OF_SETUP.search(read_unseen(project / "setup.py").decode(errors="replace"))):
        named = found[1]
    if named:
        return _normalize_name(str(named))
    # A pyproject.toml that only configures tools installs nothing.
    return None if (project / "setup.py").is_file() or "project" in table else ""


def _normalize_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_from_tree(distribution: str, tree: Path) -> bool:
    """Return whether pip recorded that it installed this from a folder of the tree."""
    try:
        origin = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return False
    url = urlparse(str(origin.get("url", "")) if isinstance(origin, Mapping) else "")
    return url.scheme == "file" and is_code_of_tree(unquote(url.path), tree)
