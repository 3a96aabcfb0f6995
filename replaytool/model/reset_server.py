"""What a server says about runs that are reset, and what it refuses. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ServerPoint:
    """A reset point as the server keeps it."""

    build_id: str
    run_id: str
    event_id: int
    resettable: bool
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class RunDescription:
    """A run as the server describes it."""

    run_id: str
    status: str
    events: int
    reset_run_id: str | None
    """The newest run that a reset forked from it."""
    closed_at: datetime | None
    points: tuple[ServerPoint, ...]


@dataclass(frozen=True, slots=True)
class Poller:
    """A worker that polls for workflow tasks."""

    task_queue: str
    identity: str
    build_id: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class ResetSettings:
    """Settings that all resets of an apply share."""

    reason: str = ""
    exclude: tuple[str, ...] = ()
    pin: tuple[str, str] | None = None
    """Deployment and build to pin the new runs to, in the same transaction as the reset."""


class ResetRefused(Exception):
    """The server refused the reset, and nothing happened."""


class AnswerLost(Exception):
    """The answer to the reset was lost: it may have happened or not."""


@dataclass(frozen=True, slots=True)
class FirstTask:
    """The first completed workflow task after the reset; if none completed, the last one that failed or timed out."""

    event_id: int
    outcome: str
    """Completed, Failed or TimedOut."""
    build_id: str | None
    message: str = ""
    tries: int = 1
    """The number of attempts. A task times out and is retried if its worker goes away."""

    def describe_problem(self, bad: frozenset[str], allowed: frozenset[str]) -> str | None:
        """Return why this outcome is not what the reset was for, or None."""
        if self.outcome != "Completed":
            return (
                f"its first task after the reset {_WORDS[self.outcome]} (event {self.event_id}) {self.message}".strip()
            )
        if self.build_id in bad:
            return f"its first task after the reset was completed by the bad build {self.build_id}"
        if allowed and self.build_id not in allowed:
            return f"its first task after the reset was completed by build {self.build_id}, which is not allowed"
        return None


_WORDS = {"Failed": "failed", "TimedOut": "timed out"}
