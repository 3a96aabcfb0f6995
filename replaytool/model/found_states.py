"""What `find` answers: where an expression over the state first held, in each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FoundState:
    """The first event of one run after which the expression holds."""

    run_key: str
    workflow_id: str
    run_id: str
    event_id: int
    at: str | None
    """When that event was recorded."""
    build_id: str | None
    file: str = ""
    """The line that made it hold; "" where no single line did."""
    line: int | None = None
    before: Mapping[str, object] = field(default_factory=dict)
    """The attributes that changed with that event, as they were."""
    after: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    """Why there is no line."""


@dataclass(frozen=True, slots=True)
class UnreplayedRun:
    """A run of which nobody knows whether the expression ever held."""

    run_key: str
    workflow_id: str
    why: str


@dataclass(frozen=True, slots=True)
class FoundStates:
    """The answer for all runs that were asked."""

    expression: str
    runs: int
    matches: Sequence[FoundState] = ()
    not_replayed: Sequence[UnreplayedRun] = ()

    def count_places(self) -> list[tuple[tuple[str, str, int | None], int]]:
        """Return build, file and line with the number of runs, the most frequent first."""
        counted = Counter((one.build_id or "", one.file, one.line) for one in self.matches)
        return sorted(counted.items(), key=lambda place: (-place[1], str(place[0])))
