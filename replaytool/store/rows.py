"""Rows of views, as the store returns them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple, TypedDict


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of the `runs` view."""

    run_key: str
    engine: str
    namespace: str | None
    workflow_id: str | None
    run_id: str | None
    run_id_from: str
    workflow_type: str
    task_queue: str | None
    status: str
    started_at: datetime | None
    closed_at: datetime | None
    event_count: int
    history_bytes: int
    first_build: str | None
    last_build: str | None
    parent_workflow_id: str | None
    first_run_id: str | None
    continued_run_id: str | None
    reset_from_run_id: str | None
    sdk_name: str | None
    sdk_version: str | None
    source: str
    format: str
    sha256: str

    @property
    def values(self) -> dict[str, Any]:
        """The row by its columns, in their order."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class BuildRow(TypedDict):
    """A row of the `builds` view."""

    build_id: str
    deployment_name: str | None
    runs: int
    first_seen: datetime | None
    last_seen: datetime | None
    tasks: int
    activities: int
    is_hash: bool


class ChosenBuildRow(TypedDict):
    """A build that took part in some chosen runs."""

    build_id: str
    runs: int
    first_seen: datetime | None
    last_seen: datetime | None
    is_hash: bool


class ProblemRow(TypedDict):
    """A problem of one run."""

    code: str
    message: str
    event_id: int | None


class OpenStep(NamedTuple):
    """A step that a run waits for."""

    run_key: str
    kind: str
    """As in the `steps` view, or `workflow task`."""
    name: str | None


class NewestRun(NamedTuple):
    """The newest loaded run of a workflow ID."""

    run_id: str | None
    status: str
