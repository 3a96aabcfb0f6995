"""What a person decided about replaying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from replaytool.replay.compare.drift import DEFAULT_POLICY, Level

PER_RUN, SHARED, OFF = "per-run", "shared", "off"
SANDBOXES = (SHARED, PER_RUN, OFF)


@dataclass(frozen=True, slots=True)
class Options:
    """How runs are replayed; the same for all of them."""

    sandbox: str = SHARED
    """One sandbox for all runs of a type, one for each run as a worker has it, or none."""
    guard: bool = True
    """Refuse what would change the world, and not only tell of it."""
    watch: bool = True
    """Tell of hazards at all."""
    policy: Mapping[str, Level] = field(default_factory=lambda: dict(DEFAULT_POLICY))
    """What to do about differences inside matching commands, by field."""
    every_mismatch: bool = False
    """Go on past a divergence, and tell what else does not fit."""
    steps: bool = False
    """Keep what happened in each activation."""
    snapshot: Callable[[Any], Any] | None = None
    """Makes a value of the workflow object after each activation; asks for steps."""
    seconds: float = 30.0
    """How long the code of one run may keep its thread before it is given up."""
