"""Check out commits of the user's repository in temporary folders, without touching the user's checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.replay.code.code_spec import CodeSpec
from replaytool.text import escape_controls

_PLAIN_REF = re.compile(r"[A-Za-z0-9_][\w./+@~^-]*")
_FOR_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")


@dataclass(frozen=True, slots=True)
class PlacedCode:
    """Code that can be loaded now, and the working directory to load it in."""

    spec: CodeSpec
    cwd: str
    label: str


class Worktrees:
    """Checked-out commits of one repository; closing removes them."""

    def __init__(self, inside: Path) -> None:
        self.root = Path(
            _require_git(inside, "rev-parse", "--show-toplevel", wrong=f"{inside} is not in a git repository")
        )
        self._folder = Path(tempfile.mkdtemp(prefix="replaytool-builds-")).resolve()
        self._made: dict[str, Path] = {}

    def resolve_commit(self, ref: str) -> str | None:
        """Return the commit that a ref names, or None."""
        if not _PLAIN_REF.fullmatch(ref):
            return None
        found = _run_git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return found.stdout.strip() or None

    def find_merge_base(self, ref: str) -> str:
        """Return the commit that `ref` and the checkout branched from."""
        commit = self.resolve_commit(ref)
        if commit is None:
            raise ReplaytoolError(
                f"{escape_controls(ref)} is not a commit of {self.root}",
                "fetch it: `git fetch origin BRANCH`; in CI, fetch-depth: 0",
                code=ErrorCode.CODE_GIT_COMMIT,
            )
        found = _run_git(self.root, "merge-base", commit, "HEAD").stdout.strip()
        if not found:
            raise ReplaytoolError(
                f"{escape_controls(ref)} and HEAD have no commit in common here",
                "fetch more of the history: `git fetch --unshallow`; in CI, fetch-depth: 0",
                code=ErrorCode.CODE_GIT_UNRELATED,
            )
        return found

    def has_changed_files(self) -> bool:
        """Return whether a tracked file differs from HEAD."""
        return _run_git(self.root, "diff", "--quiet", "HEAD", "--").returncode != 0

    def has_untracked_files(self, files: Iterable[str]) -> bool:
        """Return whether git does not know one of these files of the repository."""
        return bool(self.find_uncommitted_files(files))

    def find_uncommitted_files(self, files: Iterable[str]) -> list[str]:
        """Return those of the repository's files that git does not know: new ones, and generated ones."""
        own = sorted(str(path) for file in files if (path := Path(file).resolve()).is_relative_to(self.root))
        known = _run_git(self.root, "ls-files", "-z", "--full-name", "--", *own).stdout.split("\0")
        return [name for file in own if (name := str(Path(file).relative_to(self.root))) not in known]

    def list_changed_files(self, commit: str) -> list[str]:
        """Return the files that differ from the commit, and those that git does not know, relative to the root."""
        changed = _run_git(self.root, "diff", "--name-only", "-z", "--no-renames", commit, "--").stdout
        new = _run_git(self.root, "ls-files", "-z", "--others", "--exclude-standard", "--full-name").stdout
        return sorted({one for one in (changed + new).split("\0") if one})

    def list_commits(self, base: str, path: str) -> list[str]:
        """Return the commits after the base that changed a file, the oldest first."""
        return _run_git(self.root, "rev-list", "--reverse", f"{base}..HEAD", "--", path).stdout.split()

    def read_file(self, commit: str, path: str) -> str | None:
        """Return a file of a commit; None if the commit does not have it."""
        found = _run_git(self.root, "show", f"{commit}:{path}")
        return found.stdout if found.returncode == 0 else None

    def check_out_code(self, spec: CodeSpec, commit: str, label: str) -> PlacedCode:
        """Check out the commit and return the spec with its paths moved into the checkout."""
        there = self._add_worktree(commit)
        here = Path.cwd()
        cwd = there / self._path_in_repository(here) if here.is_relative_to(self.root) else there
        folder = there / self._path_in_repository(Path(spec.folder).resolve()) if spec.folder else cwd
        workflows = tuple(self._move_into_checkout(item, there) for item in spec.workflows)
        return PlacedCode(
            replace(
                spec,
                workflows=workflows,
                folder=str(folder),
                instead_of=(str(self.root), str(there)),
                pythonpath=tuple(self._move_if_inside(one, there) for one in spec.pythonpath),
            ),
            str(cwd if cwd.is_dir() else there),
            label,
        )

    def _move_into_checkout(self, item: str, there: Path) -> str:
        return str(there / self._path_in_repository(Path(item).resolve())) if os.path.isabs(item) else item

    def _move_if_inside(self, place: str, there: Path) -> str:
        """Return a folder of the repository in the checkout; a folder elsewhere, and a relative one, stays."""
        path = Path(place).resolve()
        is_inside = Path(place).is_absolute() and path.is_relative_to(self.root)
        return str(there / path.relative_to(self.root)) if is_inside else place

    def _path_in_repository(self, path: Path) -> Path:
        if not path.is_relative_to(self.root):
            raise ReplaytoolError(
                f"{path} is not in the repository {self.root}",
                "name code of this repository",
                code=ErrorCode.CODE_GIT_OUTSIDE,
            )
        return path.relative_to(self.root)

    def _add_worktree(self, commit: str) -> Path:
        if commit not in self._made:
            there = self._folder / commit[:12]
            wrong = f"commit {commit[:12]} cannot be checked out"
            _require_git(
                self.root, "worktree", "add", "--quiet", "--force", "--detach", str(there), commit, wrong=wrong
            )
            self._made[commit] = there
        return self._made[commit]

    def __enter__(self) -> Worktrees:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove_worktrees()

    def remove_worktrees(self) -> None:
        """Remove all checkouts from the disk and from git's list."""
        for there in self._made.values():
            _run_git(self.root, "worktree", "remove", "--force", "--force", str(there))
        self._made.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
        _run_git(self.root, "worktree", "prune")


def apply_diff(inside: Path, file: str) -> str:
    """Change the working tree as a diff says, wholly or not at all; return git's message if it cannot."""
    root = _require_git(inside, "rev-parse", "--show-toplevel", wrong="cannot find the repository")
    done = _run_git(Path(root), "apply", "--whitespace=nowarn", file)
    return done.stderr.strip() if done.returncode else ""


def _run_git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git without its hooks and without the caller's GIT_ variables."""
    environment = {key: value for key, value in os.environ.items() if key not in _FOR_GIT}
    return subprocess.run(
        ["git", "-C", str(folder), "-c", f"core.hooksPath={os.devnull}", *arguments],
        capture_output=True, text=True, env=environment, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def _require_git(folder: Path, *arguments: str, wrong: str) -> str:
    try:
        done = _run_git(folder, *arguments)
    except OSError as error:
        raise ReplaytoolError(
            f"{wrong}: {error}", "install git, or name the code itself", code=ErrorCode.CODE_GIT_MISSING
        ) from error
    if done.returncode:
        raise ReplaytoolError(
            f"{wrong}: {escape_controls(done.stderr.strip())}",
            "check that the folder is a git checkout and holds the commit",
            code=ErrorCode.CODE_GIT_FAILED,
        )
    return done.stdout.strip()
