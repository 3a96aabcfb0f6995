"""How Temporal's runs are simulated, as the engine's contract asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from replaytool.engines.temporal.simulate import history_edits
from replaytool.engines.temporal.simulate.simulation import JOB
from replaytool.model.history import Event
from replaytool.model.simulation import HistoryEdits


class TemporalSimulator:
    """Answers what the code asks for from what was recorded; nothing is invented."""

    job = JOB

    def apply_edits(self, events: Sequence[Event], edits: HistoryEdits, point: int) -> list[Event]:
        """Return the edited history."""
        return history_edits.apply_edits(events, edits, point)
