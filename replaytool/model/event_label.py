"""A label of a recorded event: two runs that did the same have the same labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventLabel:
    """One event: its type, its name, and its content without IDs and times."""

    event_id: int
    kind: str
    name: str
    content: object

    @property
    def kind_and_name(self) -> tuple[str, str]:
        """Return what two events share if they did the same."""
        return (self.kind, self.name)
