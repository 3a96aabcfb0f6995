"""What a record shows of a run's course, for comparing what sets of histories cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordFeatures:
    """Each list in the order of the record. Names that tell no difference, such as counters, are left out."""

    commands: Sequence[str]
    """What the code asked for, as words."""
    events: Sequence[tuple[str, str]]
    """Event types with the name of what they are about."""
    patches: Sequence[str]
