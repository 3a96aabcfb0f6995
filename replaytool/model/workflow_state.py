"""The state in which the replay of a run ended, as a reset plan needs it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WorkflowState:
    """The state of one run under some code."""

    state: dict[str, object] | None = None
    """The workflow's attributes after the last event."""
    trouble: str | None = None
    """Why there is no state, or why the replay ended early."""
    holds: list[tuple[int, bool]] = field(default_factory=list)
    """Whether the expression holds after each completed task, by the task's event ID."""
    unsure: str = ""
    """The last error of the expression."""
    clean: int | None = None
    """The last completed task up to which the code replays cleanly."""
