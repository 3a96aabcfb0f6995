"""The role of an event in its run, in words that fit every engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EventKind = Literal["start", "end", "request", "answer", "received", "marker", "task", "step", "attempt", "other"]
"""The run starts or ends; the code requests something, is answered, receives a message or leaves a marker; a task waits
or is started; the code runs a step; an attempt of an activity starts."""


@dataclass(frozen=True, slots=True)
class EventRole:
    """What an event is for its run."""

    kind: EventKind
    failed: bool = False
    """Whether it reports a failure."""

    @property
    def is_task(self) -> bool:
        """Return whether it is about a task, in which the engine lets the code run."""
        return self.kind in ("task", "step")

    @property
    def is_unseen(self) -> bool:
        """Return whether the code does not run here and learns nothing from it."""
        return self.kind in ("task", "attempt")
