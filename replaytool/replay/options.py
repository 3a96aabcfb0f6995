"""Options of a replay, as the user chose them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from replaytool.replay.compare.drift import DEFAULT_POLICY, Level

PER_RUN, SHARED, OFF = "per-run", "shared", "off"


@dataclass(frozen=True, slots=True)
class Options:
    """How runs are replayed; the same for all runs of a check."""

    sandbox: str = SHARED
    """One sandbox for all runs of a workflow type, one per run as a worker has it, or none."""
    guard: bool = True
    """Refuse side effects; otherwise they are only reported."""
    watch: bool = True
    """Report hazards."""
    policy: Mapping[str, Level] = field(default_factory=lambda: dict(DEFAULT_POLICY))
    """The drift level per field: what to do about differences inside matching commands."""
    every_mismatch: bool = False
    """Continue after a divergence and report the other mismatches too."""
    steps: bool = False
    """Keep what happened in each activation."""
    snapshot: Callable[[object], object] | None = None
    """Makes a value of the workflow object after each activation; needs `steps`."""
    seconds: float = 30.0
    """Seconds that the code of one run may block its thread."""
