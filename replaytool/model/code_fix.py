"""A fix for guilty edits: what `check --fix` writes, and what replays have shown of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeFix:
    """Guards for guilty edits, as a diff of the changed code."""

    diff: str = ""
    """What `git apply` takes; "" if there is no fix."""
    replayed: bool = False
    """Whether replays have proven it. An unproven fix is never offered."""
    change_ids: tuple[str, ...] = ()
    """The names of the guards."""
    healed: int = 0
    """Broken runs that replay with it."""
    note: str = ""
    """What was tried, and what hindered it."""
