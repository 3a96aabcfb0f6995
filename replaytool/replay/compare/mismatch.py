"""The first difference between produced and recorded commands, and the pairs that matched before it.

This module knows no engine: the caller says which fields identify a command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from replaytool.model.verdict import Command, Divergence, ExpectedEvent, MatchedPair

_BEFORE = 5


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The recorded event that the code did not match, and the command that came instead."""

    expected: ExpectedEvent
    actual: Command | None
    differing: tuple[str, ...] = ()
    only_strict: bool = False
    """Whether the SDK itself would accept it, because this history does not ask for the check."""


@dataclass
class MatchedPairs:
    """What matched, in the order of the history."""

    matched: list[MatchedPair] = field(default_factory=list)

    def add_pair(self, expected: ExpectedEvent, actual: Command) -> None:
        """Add a pair."""
        self.matched.append(MatchedPair(expected, actual))

    def make_divergence(self, mismatch: Mismatch) -> Divergence:
        """Return the divergence: the mismatch with the last pairs before it."""
        before = [pair for pair in self.matched if pair.expected.event_id < mismatch.expected.event_id]
        return Divergence(
            event_id=mismatch.expected.event_id,
            expected=mismatch.expected,
            actual=mismatch.actual,
            differing=mismatch.differing,
            call_site=mismatch.actual.call_site if mismatch.actual else None,
            last_matched_event_id=before[-1].expected.event_id if before else None,
            before=tuple(before[-_BEFORE:]),
        )


def differing_fields(
    expected: Mapping[str, object], actual: Mapping[str, object], fields: Sequence[str]
) -> tuple[str, ...]:
    """Return the fields whose values differ.

    >>> differing_fields({"id": "1", "type": "a"}, {"id": "1", "type": "b"}, ("id", "type"))
    ('type',)
    """
    return tuple(name for name in fields if expected.get(name) != actual.get(name))
