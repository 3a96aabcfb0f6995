"""What the picture of a run shows, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChartSpan:
    """Something that a run waited for, from one event to another."""

    kind: str
    name: str
    opened: int
    closed: int | None
    outcome: str


@dataclass(frozen=True, slots=True)
class ChartEvent:
    """An event near the finding."""

    event_id: int
    event_type: str
    name: str


@dataclass(frozen=True, slots=True)
class RunChart:
    """The workflow tasks of a run, and what it waited for between them."""

    events: int
    tasks: tuple[int, ...] = ()
    spans: tuple[ChartSpan, ...] = ()
    omitted: int = 0
    around: tuple[ChartEvent, ...] = ()
    """The events before and after the finding."""
