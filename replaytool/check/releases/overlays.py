"""Folders with another release of a package: built once by uv or pip, and kept in a cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.releases import Overlay
from replaytool.text import escape_controls

_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)(\[[\w,.-]+\])?\s*(==|~=|>=|<=|!=|<|>)\s*[\w.*+!,<>=~ -]+", re.ASCII)
_LOCK_FILES = ("uv.lock", "poetry.lock")
_OWN = "replaytool"


def build_overlay(requirement: str, folder: Path, links: Sequence[str] = ()) -> Overlay:
    """Return the folder for a requirement such as `temporalio==1.31`, from the cache or newly installed."""
    name = _require_name(requirement)
    pinned, source = _read_pinned_versions(folder)
    pins = {key: version for key, version in pinned.items() if key not in (name, _OWN)}
    text = "\n".join([sys.version, sys.platform, requirement, *links, *map("==".join, sorted(pins.items()))])
    place = _find_cache_folder() / hashlib.sha256(text.encode()).hexdigest()[:24]
    note = ""
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as work:
            made = Path(work) / "packages"
            note = _install(requirement, made, pins, links)
            (made / "replaytool-note").write_text(note, encoding="utf-8")
            if not place.is_dir():
                made.rename(place)
    note = (place / "replaytool-note").read_text(encoding="utf-8")
    return Overlay(requirement, str(place), _read_new_versions(place), f"{note}{source}")


def _require_name(requirement: str) -> str:
    found = _REQUIREMENT.fullmatch(requirement.strip())
    if found is None:
        raise ReplaytoolError(
            f"--with {requirement!r} is not a release",
            "write a package and its release, such as temporalio==1.31",
            code=ErrorCode.USAGE_VALUE,
        )
    return _normalize(found[1])


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _read_pinned_versions(folder: Path) -> tuple[Mapping[str, str], str]:
    """Return the versions of all other packages, and where they come from: the lock file, or what is installed."""
    for parent in (folder, *folder.parents):
        for file in _LOCK_FILES:
            if (parent / file).is_file():
                listed = tomllib.loads((parent / file).read_text(encoding="utf-8")).get("package", [])
                found = {_normalize(one["name"]): one["version"] for one in listed if "version" in one}
                return found, f"other packages as {file} has them"
        if (parent / "pyproject.toml").is_file():
            break
    installed = {_normalize(one.name): one.version for one in distributions() if one.name and "+" not in one.version}
    return installed, "other packages as they are installed here"


def _find_cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "replaytool" / "releases"


def _install(requirement: str, place: Path, pins: Mapping[str, str], links: Sequence[str]) -> str:
    """Install with the pinned versions; where they do not fit the release, without, and say so."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("".join(f"{name}=={version}\n" for name, version in pins.items()))
        file.flush()
        if not _run_installer(requirement, place, ["-c", file.name], links):
            return ""
    shutil.rmtree(place, ignore_errors=True)
    hindrance = _run_installer(requirement, place, [], links)
    if hindrance:
        raise ReplaytoolError(
            f"{requirement} cannot be installed: {escape_controls(hindrance)}",
            "--with asks a package index: check the release and the network, or name a folder of wheels: --find-links",
            code=ErrorCode.CHECK_RELEASE,
        )
    return "what this release needs does not fit the versions of the others, so that the installer chose it freely; "


def _run_installer(requirement: str, place: Path, more: Sequence[str], links: Sequence[str]) -> str:
    """Return "" if it worked, else the end of the message."""
    uv = shutil.which("uv")
    command = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    offline = [*(f"--find-links={one}" for one in links), "--no-index"] if links else []
    done = subprocess.run(
        [*command, "-q", "--target", str(place), *more, *offline, "--", requirement],
        capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return ""
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return " ".join(lines[-3:]) or f"the installer ended with {done.returncode}"


def _read_new_versions(place: Path) -> Mapping[str, str]:
    """Return what is another version than in this environment."""
    here = {_normalize(one.name): one.version for one in distributions() if one.name}
    there = {_normalize(one.name): one.version for one in distributions(path=[str(place)]) if one.name}
    return {name: version for name, version in sorted(there.items()) if here.get(name) != version}
