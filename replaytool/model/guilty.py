"""The edits that break runs: what `check --guilty` finds by replaying subsets of a change."""

from __future__ import annotations

from dataclasses import dataclass, field

from replaytool.model.code_fix import CodeFix


@dataclass(frozen=True, slots=True)
class EditHunk:
    """One edit of one file, with line numbers as `git diff` writes them."""

    path: str
    """Relative to the repository."""
    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    commit: str = ""
    """The commit that made the edit; "" where it is not committed."""


@dataclass(frozen=True, slots=True)
class GuiltyEdits:
    """Edits that break runs without any other edit of the change."""

    hunks: tuple[EditHunk, ...]
    breaks: tuple[str, ...] = ()
    """Keys of the runs that break on the base with only these edits."""
    alone: bool = True
    """Whether a replay has shown that: False for edits that could not be separated."""
    heals: tuple[str, ...] = ()
    """Keys of those runs that pass with the whole change but for these edits."""


@dataclass(frozen=True, slots=True)
class GuiltySearch:
    """What a search for guilty edits found, and how."""

    found: tuple[GuiltyEdits, ...] = ()
    """The edits that break most runs first."""
    note: str = ""
    """Why no edit is named, or what the search could not do."""
    complete: bool = True
    """False after the time limit: then this is the best that was found."""
    edits: int = 0
    """Edits in the change, without comments, docstrings and blank lines."""
    versions: int = 0
    """Versions of the code that were replayed."""
    replays: int = 0
    fix: CodeFix | None = None
    """A fix for the edits, if one was asked for."""
    unexplained: tuple[str, ...] = field(default=())
    """Keys of broken runs that no named edit breaks."""
