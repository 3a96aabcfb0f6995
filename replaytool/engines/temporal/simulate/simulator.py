"""How Temporal's runs are simulated, as the engine's contract asks for it."""

from __future__ import annotations

from replaytool.engines.temporal.simulate import history_edits
from replaytool.engines.temporal.simulate.simulation import JOB


class TemporalSimulator:
    """Answers what the code asks for from what was recorded; nothing is invented."""

    job = JOB
    apply_edits = staticmethod(history_edits.apply_edits)
