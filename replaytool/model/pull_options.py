"""What to fetch from a server, and how far that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from replaytool.model.server_options import ServerOptions


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What to pull from which server."""

    server: ServerOptions = field(default_factory=ServerOptions)
    query: str = ""
    since: str | None = None
    """2h, 3d, or an ISO 8601 time: runs that started or closed since then."""
    limit: int | None = None
    """The most runs to take from the query's list, whether fetched or already stored."""
    workflow_ids: tuple[str, ...] = ()
    """Instead of a query: the latest run of each workflow, as in the official CLI."""
    run_id: str | None = None
    concurrency: int = 10
    only_new: bool = True
    engine: str = "temporal"


@dataclass(slots=True)
class PullProgress:
    """The progress of a pull. It changes while the pull runs, so that a progress bar can show it."""

    listed: int = 0
    fetched: int = 0
    unchanged: int = 0
    failed: int = 0


OPEN_RUNS = "ExecutionStatus = 'Running'"
"""The visibility query for all open runs."""
Known = Callable[[str, str], int | None]
"""Returns how many events of a run (workflow ID, run ID) the store has."""
