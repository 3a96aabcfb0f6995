"""How histories are fetched from a Temporal server, as the engine's contract asks for it."""

from __future__ import annotations

from replaytool.engines.temporal.server import pull


class TemporalServer:
    """A Temporal server."""

    pull_histories = staticmethod(pull.pull_histories)
