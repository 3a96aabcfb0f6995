"""What scrubbing a history looks at, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptField:
    """A field that still has an original value."""

    field: str
    why: str


@dataclass(frozen=True, slots=True)
class ScrubResult:
    """The result for one history."""

    verdict: str
    """The verdict with the code, the same before and after."""
    reason: str = ""
    """Why the result was not accepted, or ""."""
    history: str = ""
    workflow_id: str | None = None
    replaced: int = 0
    """Number of values that changed."""
    kept: tuple[KeptField, ...] = ()


@dataclass(frozen=True, slots=True)
class ScrubbableField:
    """One value of a user's, and where it is."""

    label: str
    key: str
    """The nearest name on the path."""
    value: object
