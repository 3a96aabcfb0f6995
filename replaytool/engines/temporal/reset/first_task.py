"""What became of a reset run: who took its first task, and how that went."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent


@dataclass(frozen=True, slots=True)
class FirstTask:
    """The first workflow task after the reset that was completed; else the latest that ended otherwise."""

    event_id: int
    outcome: str
    """Completed, Failed or TimedOut."""
    build_id: str | None
    message: str = ""
    tries: int = 1
    """How many tasks it took: one that times out because a worker went away is only given out again."""

    def trouble(self, bad: frozenset[str], allowed: frozenset[str]) -> str | None:
        """Why this is not what the reset was for."""
        if self.outcome != "Completed":
            return (
                f"its first task after the reset {_WORDS[self.outcome]} (event {self.event_id}) {self.message}".strip()
            )
        if self.build_id in bad:
            return f"its first task after the reset was completed by the bad build {self.build_id}"
        if allowed and self.build_id not in allowed:
            return f"its first task after the reset was completed by build {self.build_id}, which was not allowed"
        return None


_WORDS = {"Failed": "failed", "TimedOut": "timed out"}
_ENDS = {
    "workflow_task_completed_event_attributes": "Completed",
    "workflow_task_failed_event_attributes": "Failed",
    "workflow_task_timed_out_event_attributes": "TimedOut",
}


def first_task(events: Iterable[HistoryEvent], reset_event: int) -> FirstTask | None:
    """The task that tells who has the run now; none as long as there is none."""
    latest: FirstTask | None = None
    for event in events:
        kind = event.WhichOneof("attributes") or ""
        if event.event_id > reset_event and kind in _ENDS:
            latest = _task(event, kind, latest.tries + 1 if latest else 1)
            if latest.outcome == "Completed":
                return latest
    return latest


def _task(event: HistoryEvent, kind: str, tries: int) -> FirstTask:
    found = getattr(event, kind)
    build = found.worker_version.build_id if hasattr(found, "worker_version") else ""
    failure = found.failure.message if hasattr(found, "failure") else ""
    return FirstTask(event.event_id, _ENDS[kind], build or None, failure, tries)
