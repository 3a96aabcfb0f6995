"""How Temporal's runs are reset, as the engine's contract asks for it."""

from __future__ import annotations

from replaytool.engines.temporal.events.event_types import NEVER_NEEDED_BY_RESETS
from replaytool.engines.temporal.reset.cli_command import format_reset_command
from replaytool.engines.temporal.reset.hazards import HAZARDS, PIN_SOLVES
from replaytool.engines.temporal.reset.run_facts import read_run_facts
from replaytool.engines.temporal.reset.server_calls import ResetClient
from replaytool.model.server_options import ServerOptions


class TemporalResets:
    """The server ends the run and makes another one that goes on from the point."""

    action = "reset"
    silent_events = NEVER_NEEDED_BY_RESETS
    hazards = HAZARDS
    read_facts = staticmethod(read_run_facts)


class TemporalResetExecutor:
    """The server resets one run for each call."""

    solved_by_pin = PIN_SOLVES
    format_command = staticmethod(format_reset_command)

    async def connect_to_server(self, options: ServerOptions) -> ResetClient:
        """Connect to the Temporal server."""
        return await ResetClient.connect_to_server(options)
