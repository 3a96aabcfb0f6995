"""Run ids in file names, and path patterns."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from replaytool.model.history import RunHints

_UUID = re.compile(
    r"(?<![0-9a-z])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-z])", re.IGNORECASE
)


def hints_from_name(name: str) -> RunHints:
    """Return what a file's name says. It is used only if the file itself says nothing, since names are often wrong.

    >>> hints_from_name("runs/order-7_0191c1a2-7d4e-7bd2-9a3f-1f2e3d4c5b6a.json").run_id
    '0191c1a2-7d4e-7bd2-9a3f-1f2e3d4c5b6a'
    """
    folders, _, last = name.replace("\\", "/").rstrip("/").rpartition("/")
    found = {match.lower() for match in _UUID.findall(last)}
    folder = folders.rstrip("/").rpartition("/")[2]
    if not found and _UUID.fullmatch(folder):
        found = {folder.lower()}
    return RunHints(name=name, run_id=found.pop() if len(found) == 1 else None)


def is_pattern(text: str) -> bool:
    """Return whether a shell would take this for a pattern."""
    return any(char in text for char in "*?[")


def split_pattern(parts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the folder to start from, and the pattern below it.

    >>> split_pattern(["runs", "2026-*", "x.json"])
    (['runs'], ['2026-*', 'x.json'])
    """
    at = next((at for at, part in enumerate(parts) if is_pattern(part)), len(parts))
    return list(parts[:at]), list(parts[at:])


class PathPattern:
    """A path pattern that is followed one folder at a time, so that a walk can skip what cannot match.

    A state is the set of positions in the pattern that a path may have reached. Keeping all of them is cheap;
    backtracking would take exponential time on `**/**/**/x`. Everything below a matched folder matches too, so the
    empty pattern matches a whole folder. Hidden names match only if the pattern names them.
    """

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = tuple(parts)

    @property
    def start_state(self) -> frozenset[int]:
        """Return the state of a path before its first part."""
        return self._past_stars({0})

    def is_match_state(self, state: frozenset[int]) -> bool:
        """Return whether a path in this state matches."""
        return len(self._parts) in state

    def step_into(self, state: frozenset[int], name: str) -> frozenset[int]:
        """Return the state one part later. It is empty if neither the path nor anything below it can match."""
        return self._past_stars({after for at in state for after in self._next_positions(at, name)})

    def matches_path(self, parts: Sequence[str]) -> bool:
        """Return whether the pattern matches this path.

        >>> PathPattern(["**", "*.json"]).matches_path(["a", "b", "c.json"])
        True
        >>> PathPattern(["*"]).matches_path([".git", "x"])
        False
        """
        state = self.start_state
        for part in parts:
            state = self.step_into(state, part)
        return self.is_match_state(state)

    def _next_positions(self, at: int, name: str) -> set[int]:
        hidden = name.startswith(".")
        if at == len(self._parts) or self._parts[at] == "**":
            return set() if hidden else {at}
        part = self._parts[at]
        asked_for = not hidden or part.startswith(".")
        return {at + 1} if asked_for and fnmatch.fnmatchcase(name, part) else set()

    def _past_stars(self, state: set[int]) -> frozenset[int]:
        closed = set(state)
        for at, part in enumerate(self._parts):
            if at in closed and part == "**":
                closed.add(at + 1)
        return frozenset(closed)
