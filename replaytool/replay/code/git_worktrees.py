"""Commits of the user's repository, checked out beside it: code as it was, without touching what is there now."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from replaytool.errors import ReplaytoolError
from replaytool.replay.code.user_code import CodeSpec
from replaytool.text import visible

_PLAIN_REF = re.compile(r"[A-Za-z0-9_][\w./+@~^-]*")
_FOR_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")


@dataclass(frozen=True, slots=True)
class Placed:
    """Code that can be loaded now."""

    spec: CodeSpec
    cwd: str
    label: str


class Worktrees:
    """Commits checked out beside the repository, never in the person's own checkout."""

    def __init__(self, inside: Path) -> None:
        self.root = Path(_git(inside, "rev-parse", "--show-toplevel", wrong="no git repository is here"))
        self._folder = Path(tempfile.mkdtemp(prefix="replaytool-builds-")).resolve()
        self._made: dict[str, Path] = {}

    def commit(self, ref: str) -> str | None:
        """The commit that a ref means, if there is one."""
        if not _PLAIN_REF.fullmatch(ref):
            return None
        found = _run(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return found.stdout.strip() or None

    def merge_base(self, ref: str) -> str:
        """The commit that a branch and the checkout both come from: what the change is a change of."""
        commit = self.commit(ref)
        if commit is None:
            raise ReplaytoolError(
                f"{visible(ref)} is no commit of {self.root}",
                "fetch it: `git fetch origin BRANCH`; in CI, fetch-depth: 0",
            )
        found = _run(self.root, "merge-base", commit, "HEAD").stdout.strip()
        if not found:
            raise ReplaytoolError(
                f"{visible(ref)} and HEAD have no commit in common here",
                "fetch more of the history: `git fetch --unshallow`; in CI, fetch-depth: 0",
            )
        return found

    def placed(self, spec: CodeSpec, commit: str, label: str) -> Placed:
        """The same modules and paths, in this commit."""
        there = self._checked_out(commit)
        here = Path.cwd()
        cwd = there / self._inside(here) if here.is_relative_to(self.root) else there
        folder = there / self._inside(Path(spec.folder).resolve()) if spec.folder else cwd
        workflows = tuple(self._moved(item, there) for item in spec.workflows)
        return Placed(
            replace(spec, workflows=workflows, folder=str(folder), instead_of=(str(self.root), str(there))),
            str(cwd if cwd.is_dir() else there),
            label,
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

    def __enter__(self) -> Worktrees:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove them all, from the disk and from git's list."""
        for there in self._made.values():
            _run(self.root, "worktree", "remove", "--force", "--force", str(there))
        self._made.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
        _run(self.root, "worktree", "prune")


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
        raise ReplaytoolError(f"{wrong}: {error}", "install git, or name the code itself") from error
    if done.returncode:
        raise ReplaytoolError(f"{wrong}: {visible(done.stderr.strip())}", "git must know the place and the commit")
    return done.stdout.strip()
