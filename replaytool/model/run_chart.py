"""What a picture of a run shows, as values: lanes from event to event."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Something that a run waited for, from one event to another."""

    kind: str
    name: str
    opened: int
    closed: int | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a picture of a run shows: its tasks, and what it waited for between them."""

    events: int
    tasks: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()
    omitted: int = 0
