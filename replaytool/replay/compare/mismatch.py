"""What the code produced against what was recorded: the first difference, and what agreed before it.

This is the part that knows no engine: which fields tell one command from another is given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from replaytool.model.verdict import Command, Divergence, Expected, Match

_BEFORE = 5


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The event that nothing fitted, and what stood in its place."""

    expected: Expected
    actual: Command | None
    differing: tuple[str, ...] = ()
    only_strict: bool = False
    """Whether the engine itself would let it pass, as the record does not ask for this check."""


@dataclass
class Pairs:
    """What matched, in the order of the record."""

    matched: list[Match] = field(default_factory=list)

    def add(self, expected: Expected, actual: Command) -> None:
        """One more pair."""
        self.matched.append(Match(expected, actual))

    def divergence(self, mismatch: Mismatch, advice: str = "") -> Divergence:
        """The mismatch with what agreed before it."""
        before = [pair for pair in self.matched if pair.expected.event_id < mismatch.expected.event_id]
        return Divergence(
            event_id=mismatch.expected.event_id,
            expected=mismatch.expected,
            actual=mismatch.actual,
            differing=mismatch.differing,
            call_site=mismatch.actual.call_site if mismatch.actual else None,
            last_matched_event_id=before[-1].expected.event_id if before else None,
            before=tuple(before[-_BEFORE:]),
            advice=advice,
        )


def differing(expected: Mapping[str, object], actual: Mapping[str, object], fields: Sequence[str]) -> tuple[str, ...]:
    """Those of the fields in which both sides say something else.

    >>> differing({"id": "1", "type": "a"}, {"id": "1", "type": "b"}, ("id", "type"))
    ('type',)
    """
    return tuple(name for name in fields if expected.get(name) != actual.get(name))
