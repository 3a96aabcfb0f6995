"""The files that a change edits, on both sides, and the commit that made an edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from replaytool.model.guilty import EditHunk
from replaytool.replay.code.git_worktrees import Worktrees

_LARGEST = 1_000_000
_MOST_COMMITS = 200


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One file; None stands for a side where it does not exist."""

    path: str
    before: str | None
    after: str | None


def read_changed_files(
    trees: Worktrees, commit: str, there: Path, is_wanted: Callable[[str], bool]
) -> Iterator[ChangedFile]:
    """Yield the wanted text files that differ between the commit, checked out `there`, and the checkout."""
    for path in trees.list_changed_files(commit):
        if not is_wanted(path):
            continue
        sides = (_read_text(there / path), _read_text(trees.root / path))
        if sides[0] != sides[1] and not any(isinstance(one, bytes) for one in sides):
            before, after = (one if isinstance(one, str) else None for one in sides)
            yield ChangedFile(path, before, after)


def _read_text(path: Path) -> str | bytes | None:
    """Return the text, None for no file, and bytes for what is no text or too large to search in."""
    if path.is_symlink() or path.is_dir():
        return b""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    return found if len(found) > _LARGEST or b"\0" in found else found.decode("utf-8", "surrogateescape")


def find_commit_of_edit(trees: Worktrees, base: str, hunk: EditHunk) -> str:
    """Return the commit between the base and HEAD after which the file has the edit; "" if it is not committed."""
    added, removed = "".join(hunk.added), "".join(hunk.removed)
    before = trees.read_file(base, hunk.path) or ""
    for commit in trees.list_commits(base, hunk.path)[:_MOST_COMMITS]:
        text = trees.read_file(commit, hunk.path) or ""
        if text.count(added) > before.count(added) if added.strip() else text.count(removed) < before.count(removed):
            return commit
    return ""
