"""How Temporal's runs are reset, as the engine's contract asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from replaytool.engines.temporal.events.event_types import NEVER_NEEDED_BY_RESETS
from replaytool.engines.temporal.reset.hazards import HAZARDS
from replaytool.engines.temporal.reset.run_facts import read_run_facts
from replaytool.model.history import Event
from replaytool.model.run_facts import RunFacts


class TemporalResets:
    """The server ends the run and makes another one that goes on from the point."""

    action = "reset"
    silent_events = NEVER_NEEDED_BY_RESETS
    hazards = HAZARDS

    def read_facts(self, row: Mapping[str, Any], events: Iterable[Event], problems: tuple[str, ...]) -> RunFacts:
        """Return the facts of a run in one pass over its events."""
        return read_run_facts(row, events, problems)
