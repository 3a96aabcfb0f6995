"""Which code each build had: named one by one, checked out of git, or one code for all of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from replaytool.errors import ReplaytoolError
from replaytool.replay.code import CodeSpec
from replaytool.text import visible

_PLAIN_REF = re.compile(r"[A-Za-z0-9_][\w./+@-]*")
_FOR_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")


@dataclass(frozen=True, slots=True)
class CodeMap:
    """What a person said about code: by build, from git, and for whatever is left."""

    default: CodeSpec | None = None
    builds: Mapping[str, CodeSpec] = field(default_factory=dict)
    git: bool = False
    """Build ids are refs or commits, or lead to them, of the repository that the default code is in."""
    pattern: str = ""
    """How a build id leads to a ref: `release-{build}`, or a regular expression whose group is the ref."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Code that can be loaded now."""

    spec: CodeSpec
    cwd: str
    label: str


class Places:
    """The code of each build of one run; what was checked out for it is removed when it is closed."""

    def __init__(self, code: CodeMap, builds: Iterable[str | None]) -> None:
        self._by_build: dict[str | None, Placed] = {}
        self.missing: dict[str | None, str] = {}
        """Builds without code, and why."""
        self._worktrees: Worktrees | None = None
        try:
            for build in dict.fromkeys(builds):
                self._place(code, build)
        except BaseException:
            self.close()
            raise

    def of(self, build: str | None) -> Placed | None:
        """The code that a build had."""
        return self._by_build.get(build)

    def all(self) -> list[Placed]:
        """Each code once."""
        return list(dict.fromkeys(self._by_build.values()))

    def builds(self, placed: Placed) -> list[str | None]:
        """The builds that are replayed with this code."""
        return [build for build, one in self._by_build.items() if one == placed]

    def close(self) -> None:
        """Remove what was checked out."""
        if self._worktrees is not None:
            self._worktrees.close()

    def _place(self, code: CodeMap, build: str | None) -> None:
        named = code.builds.get(build or "")
        if named is not None:
            self._by_build[build] = Placed(named, os.getcwd(), f"{build} ({', '.join(named.workflows)})")
        elif code.git:
            self._from_git(code, build)
        elif code.default is not None:
            self._by_build[build] = Placed(code.default, os.getcwd(), ", ".join(code.default.workflows))
        else:
            self.missing[build] = f"no code was named for build {build}" if build else "no build is recorded here"

    def _from_git(self, code: CodeMap, build: str | None) -> None:
        if code.default is None:
            raise AssertionError("git was asked for without a place to look in")
        if self._worktrees is None:
            self._worktrees = Worktrees(Path(code.default.folder or "."))
        commit = self._worktrees.commit(build, code.pattern)
        if commit is None:
            self.missing[build] = f"build {build} is no commit of {self._worktrees.root}"
            return
        self._by_build[build] = self._worktrees.placed(code.default, commit, f"{build} (commit {commit[:9]})")


class Worktrees:
    """Commits checked out beside the repository, never in the person's own checkout."""

    def __init__(self, inside: Path) -> None:
        self.root = Path(_git(inside, "rev-parse", "--show-toplevel", wrong="--git needs a git repository"))
        self._folder = Path(tempfile.mkdtemp(prefix="replaytool-builds-")).resolve()
        self._made: dict[str, Path] = {}

    def commit(self, build: str | None, pattern: str) -> str | None:
        """The commit that a build id means, if there is one."""
        ref = _ref(build or "", pattern)
        if not _PLAIN_REF.fullmatch(ref):
            return None
        found = _run(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return found.stdout.strip() or None

    def placed(self, spec: CodeSpec, commit: str, label: str) -> Placed:
        """The same modules and paths, in this commit."""
        there = self._checked_out(commit)
        here = Path.cwd()
        cwd = there / self._inside(here) if here.is_relative_to(self.root) else there
        folder = there / self._inside(Path(spec.folder).resolve()) if spec.folder else cwd
        workflows = tuple(self._moved(item, there) for item in spec.workflows)
        return Placed(
            replace(spec, workflows=workflows, folder=str(folder)), str(cwd if cwd.is_dir() else there), label
        )

    def _moved(self, item: str, there: Path) -> str:
        return str(there / self._inside(Path(item).resolve())) if os.path.isabs(item) else item

    def _inside(self, path: Path) -> Path:
        if not path.is_relative_to(self.root):
            raise ReplaytoolError(f"{path} is not in the repository {self.root}", "name code of this repository")
        return path.relative_to(self.root)

    def _checked_out(self, commit: str) -> Path:
        if commit not in self._made:
            there = self._folder / commit[:12]
            wrong = f"commit {commit[:12]} cannot be checked out"
            _git(self.root, "worktree", "add", "--quiet", "--force", "--detach", str(there), commit, wrong=wrong)
            self._made[commit] = there
        return self._made[commit]

    def close(self) -> None:
        """Remove them all, from the disk and from git's list."""
        for there in self._made.values():
            _run(self.root, "worktree", "remove", "--force", "--force", str(there))
        self._made.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
        _run(self.root, "worktree", "prune")


def _ref(build: str, pattern: str) -> str:
    if not pattern:
        return build
    if "{build}" in pattern:
        return pattern.replace("{build}", build)
    try:
        found = re.search(pattern, build)
    except re.error as error:
        raise ReplaytoolError(f"--git-ref {pattern!r} is no pattern: {error}", "for example release-{build}") from error
    return "" if found is None else found[1] if found.groups() else found[0]


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Git without the hooks and the surroundings of whoever called us."""
    environment = {key: value for key, value in os.environ.items() if key not in _FOR_GIT}
    return subprocess.run(
        ["git", "-C", str(folder), "-c", f"core.hooksPath={os.devnull}", *arguments],
        capture_output=True, text=True, env=environment, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def _git(folder: Path, *arguments: str, wrong: str) -> str:
    try:
        done = _run(folder, *arguments)
    except OSError as error:
        raise ReplaytoolError(f"{wrong}: {error}", "install git, or use --code BUILD=MODULE") from error
    if done.returncode:
        raise ReplaytoolError(f"{wrong}: {visible(done.stderr.strip())}", "or use --code BUILD=MODULE-OR-PATH")
    return done.stdout.strip()
