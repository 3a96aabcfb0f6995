"""How histories are fetched from a Temporal server, as the engine's contract asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from replaytool.engines.temporal.server import pull
from replaytool.model.pull_options import Known, PullOptions, PullProgress
from replaytool.sources import HistorySource


class TemporalServer:
    """A Temporal server."""

    def pull_histories(self, options: PullOptions, known: Known, progress: PullProgress) -> Iterator[HistorySource]:
        """Yield the histories that the options name, each as a source."""
        return pull.pull_histories(options, known, progress)
