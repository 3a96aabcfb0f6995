"""How Temporal's runs are reset, as the engine's contract asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replaytool.engines.temporal.events.event_types import NEVER_NEEDED_BY_RESETS
from replaytool.engines.temporal.reset.cli_command import format_reset_command
from replaytool.engines.temporal.reset.hazards import HAZARDS, PIN_SOLVES
from replaytool.engines.temporal.reset.run_facts import read_run_facts
from replaytool.engines.temporal.reset.server_calls import ResetClient
from replaytool.model.history import Event
from replaytool.model.reset_plan import ResetItem, ResetPlan
from replaytool.model.reset_server import ResetSettings
from replaytool.model.run_facts import RunFacts
from replaytool.model.server_options import ServerOptions


class TemporalResets:
    """The server ends the run and makes another one that goes on from the point."""

    action = "reset"
    silent_events = NEVER_NEEDED_BY_RESETS
    hazards = HAZARDS

    def read_facts(
        self, row: Mapping[str, object], events: Iterable[Event], problems: tuple[str, ...] = ()
    ) -> RunFacts:
        """Return the facts of a run in one pass over its events."""
        return read_run_facts(row, events, problems)


class TemporalResetExecutor:
    """The server resets one run for each call."""

    solved_by_pin = PIN_SOLVES

    def format_command(self, plan: ResetPlan, item: ResetItem, how: ResetSettings, address: str | None) -> list[str]:
        """Return the words of a command of the official `temporal` CLI."""
        return format_reset_command(plan, item, how, address)

    async def connect_to_server(self, options: ServerOptions) -> ResetClient:
        """Connect to the Temporal server."""
        return await ResetClient.connect_to_server(options)
