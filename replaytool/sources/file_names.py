"""What a name gives away: the run that a file belongs to, and whether a pattern means it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from replaytool.model.history import Hints

_UUID = re.compile(
    r"(?<![0-9a-z])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-z])", re.IGNORECASE
)


def hints_from_name(name: str) -> Hints:
    """What people wrote into a file's name, for when the file itself is silent: names lie more often.

    >>> hints_from_name("runs/order-7_0191c1a2-7d4e-7bd2-9a3f-1f2e3d4c5b6a.json").run_id
    '0191c1a2-7d4e-7bd2-9a3f-1f2e3d4c5b6a'
    """
    folders, _, last = name.replace("\\", "/").rstrip("/").rpartition("/")
    found = {match.lower() for match in _UUID.findall(last)}
    folder = folders.rstrip("/").rpartition("/")[2]
    if not found and _UUID.fullmatch(folder):
        found = {folder.lower()}
    return Hints(name=name, run_id=found.pop() if len(found) == 1 else None)


def is_pattern(text: str) -> bool:
    """Whether a shell would take this for a pattern."""
    return any(char in text for char in "*?[")


def split_pattern(parts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The folder to start from, and what is to be matched below it.

    >>> split_pattern(["runs", "2026-*", "x.json"])
    (['runs'], ['2026-*', 'x.json'])
    """
    at = next((at for at, part in enumerate(parts) if is_pattern(part)), len(parts))
    return list(parts[:at]), list(parts[at:])


class Pattern:
    """A path pattern, followed one folder at a time, so that a walk can leave out what cannot match.

    A state is the set of positions in the pattern that a path may have reached. Keeping all of them
    costs little; going back to try again takes for ever on `**/**/**/x`. Whatever lies in a folder that
    the pattern means is meant too, so the empty pattern is a whole folder. Hidden names must be asked for.
    """

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = tuple(parts)

    @property
    def start(self) -> frozenset[int]:
        """Where a path stands before its first part."""
        return self._past_stars({0})

    def is_match(self, state: frozenset[int]) -> bool:
        """Whether a path that got here is meant."""
        return len(self._parts) in state

    def step(self, state: frozenset[int], name: str) -> frozenset[int]:
        """Where the path stands one part later: nowhere, if neither it nor anything below it can match."""
        return self._past_stars({after for at in state for after in self._moves(at, name)})

    def matches(self, parts: Sequence[str]) -> bool:
        """Whether the pattern means this path.

        >>> Pattern(["**", "*.json"]).matches(["a", "b", "c.json"]), Pattern(["*"]).matches([".git", "x"])
        (True, False)
        """
        state = self.start
        for part in parts:
            state = self.step(state, part)
        return self.is_match(state)

    def _moves(self, at: int, name: str) -> set[int]:
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
